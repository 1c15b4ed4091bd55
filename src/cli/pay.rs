//! `tollgate pay`: a request that is paid for where the answer is 402. It shows what is offered, asks, signs, and checks the
//! receipt.

mod presented;
mod proof;
mod request;

use std::io::{BufRead, IsTerminal, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::arguments::Pay;
use super::clock;
use super::failure::{Failure, Outcome};
use super::file;
use super::gate::refusal;
use super::http::{Answer, Call, Http};
use super::screen::{self, BAD, DIM, GOOD, NAME, Screen, styled};
use crate::pay::buyer::{Challenge, OwnPayment, Payable};
use crate::pay::eip712::SigningKey;
use proof::{Prover, Settled};

/// Where the private key stands.
const WALLET: &str = "TOLLGATE_WALLET_KEY";

/// Sends the request, and pays for it where it must.
pub(super) fn run(screen: Screen, http: &Http, gate: Option<&str>, arguments: &Pay) -> Outcome {
    let call = request::read(arguments)?;
    let first = http.send(&call)?;
    if first.status != 402 {
        screen.step(format!(
            "{} {}: {}, and nothing had to be paid",
            call.method,
            call.url,
            status(first.status)
        ));
        return conclude(screen, arguments, &call, &first, None);
    }
    let challenge = first.header("PAYMENT-REQUIRED").ok_or_else(|| {
        refusal(&call, &first).noting("the 402 has no PAYMENT-REQUIRED header, so this tool cannot pay it")
    })?;
    let challenge = Challenge::read(challenge).map_err(|error| Failure::refused(error.to_string()))?;
    show_offers(screen, &call, &first, &challenge);
    let payable =
        challenge.choose(&arguments.max_price).map_err(|error| Failure::refused(error.to_string()))?;
    let wallet = wallet()?;
    confirm(screen, arguments.yes, payable, &wallet)?;
    let payment = OwnPayment::sign(&challenge, payable, &wallet, clock::nonce()?, clock::now().seconds());
    screen.step(format!(
        "signed by {}; sending the payment",
        styled(NAME, payment.authorization.from.checksummed())
    ));
    let presented = presented::send(screen, http, &call, &payment)?;
    let prover = Prover {
        screen,
        http,
        gate,
        call: &call,
        payable,
        payment: &payment,
        pinned: arguments.receipt_key.as_ref(),
    };
    let settled = prover.settled(&presented)?;
    conclude(screen, arguments, &call, &presented.answer, Some(&settled))
}

fn show_offers(screen: Screen, call: &Call, answer: &Answer, challenge: &Challenge) {
    let detail = answer.json().and_then(|body| Some(body.get("detail")?.as_str()?.to_owned()));
    screen.step(format!("{} {}: {}", call.method, call.url, styled(BAD, "402 Payment Required")));
    if let Some(detail) = detail {
        screen.step(format!("  {detail}"));
    }
    for payable in &challenge.payable {
        let (tender, price) = (&payable.tender, styled(NAME, payable.price()));
        screen.step(format!("  offered: {price} on {} to {}", tender.network, tender.pay_to.checksummed()));
    }
    for why in &challenge.passed_over {
        screen.step(styled(DIM, format!("  passed over: {why}")));
    }
}

fn wallet() -> Outcome<SigningKey> {
    let key = clock::variable(WALLET).ok_or_else(|| {
        Failure::usage(format!("no wallet to pay with; put its private key (32 bytes in hex) in {WALLET}"))
    })?;
    SigningKey::from_hex(&key).map_err(|error| Failure::usage(format!("{WALLET} {error}")))
}

/// Asks whether to pay, where nobody said so beforehand.
fn confirm(screen: Screen, is_settled: bool, payable: &Payable, wallet: &SigningKey) -> Outcome {
    if is_settled {
        return Ok(());
    }
    if screen.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let message = format!("it costs {}, and there is nobody to ask; pay with --yes", payable.price());
        return Err(Failure::usage(message));
    }
    let question = format!("Pay {} from {}? [y/N] ", payable.price(), wallet.address().checksummed());
    let _ = write!(anstream::stderr(), "{question}");
    let mut reply = String::new();
    let read = std::io::stdin().lock().read_line(&mut reply);
    match read.map(|_| reply.trim().to_ascii_lowercase()) {
        Ok(reply) if reply == "y" || reply == "yes" => Ok(()),
        Ok(_) | Err(_) => Err(Failure::refused("nothing was paid")),
    }
}

/// Shows the answer, and what is known of the payment.
fn conclude(
    screen: Screen,
    arguments: &Pay,
    call: &Call,
    answer: &Answer,
    settled: Option<&Settled>,
) -> Outcome {
    if let Some(path) = &arguments.output {
        file::write(path, &answer.body)?;
    }
    if screen.json {
        screen.result(&to_json(arguments, answer, settled), String::new)?;
    } else if arguments.output.is_none() {
        screen::print(&answer.body, false)?;
    }
    if let Some(why) = settled.and_then(|settled| settled.doubt.clone()) {
        return Err(Failure::refused(why));
    }
    if answer.status >= 400 {
        return Err(refusal(call, answer));
    }
    if !answer.is_success() {
        let to = answer.header("Location").unwrap_or_default();
        screen.step(format!("answered {}: {to}; redirects are not followed", status(answer.status)));
    }
    Ok(())
}

fn to_json(arguments: &Pay, answer: &Answer, settled: Option<&Settled>) -> Value {
    let body = match (&arguments.output, std::str::from_utf8(&answer.body)) {
        (Some(path), _) => json!({ "body_file": path.display().to_string() }),
        (None, Ok(text)) => json!({ "body": text }),
        (None, Err(_)) => json!({ "body_base64": STANDARD.encode(&answer.body) }),
    };
    let mut shown = json!({
        "status": answer.status,
        "paid": settled.map_or(Some(false), |settled| settled.is_paid),
        "price": settled.map(|settled| settled.price.clone()),
        "transaction": settled.and_then(|settled| settled.transaction.clone()),
        "session": answer.header("Tollgate-Session"),
        "receipt": settled.and_then(|settled| settled.receipt.clone()),
        "receipt_valid": settled.filter(|settled| settled.receipt.is_some()).map(|settled| settled.doubt.is_none()),
    });
    if let (Value::Object(members), Value::Object(body)) = (&mut shown, body) {
        members.extend(body);
    }
    shown
}

fn status(status: u16) -> String {
    let style = if status < 400 { GOOD } else { BAD };
    styled(style, status)
}
