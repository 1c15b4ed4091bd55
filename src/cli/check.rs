//! `tollgate check`: a file of settings or plans, before it is deployed or applied; and the secrets that lie beside it.

mod local_secrets;

use serde_json::{Value, json};

use super::arguments::Check;
use super::clock;
use super::failure::{Failure, Kind, Outcome};
use super::file::SettingsFile;
use super::http::{Call, Http};
use super::screen::{BAD, DIM, GOOD, Screen, WARN, styled};
use crate::config::advice;
use crate::config::document::{Document, SyntaxFault};
use crate::config::gate_file::{self, Checked, Remark};
use crate::config::payment::PaymentConfig;
use crate::config::payment::facilitator::{Auth, Facilitator};
use crate::config::plan_file::{PlanFault, PlanFile, locate};
use crate::config::secrets::uses::Use;
use local_secrets::LocalSecrets;

/// What a facilitator said that it supports.
struct Asked {
    facilitator: String,
    /// What it lacks, or why it did not say.
    found: Result<Vec<String>, Failure>,
}

/// Checks a file.
pub(super) fn run(screen: Screen, http: &Http, arguments: &Check) -> Outcome {
    let file = SettingsFile::read(&arguments.file)?;
    let checked = check(&file, arguments.env.as_deref());
    let payment = checked.config.as_ref().and_then(|config| config.payment.as_ref());
    let asked = match payment {
        Some(payment) if arguments.online => ask_all(screen, http, payment),
        _ => Vec::new(),
    };
    let beside = |config| LocalSecrets::beside(&arguments.file, arguments.env.as_deref(), config);
    let local = checked.config.as_ref().map(beside).transpose()?.flatten();
    screen.result(&to_json(&file, &checked, local.as_ref(), &asked), || {
        to_text(&file, &checked, local.as_ref(), &asked)
    })?;
    verdict(&checked, local.as_ref(), &asked)
}

/// What is wrong with a file, and what will surprise.
pub(super) fn check(file: &SettingsFile, environment: Option<&str>) -> Checked {
    match &file.document {
        Err(fault) => Checked { faults: vec![of_syntax(fault)], ..Checked::default() },
        Ok(document) if file.is_wranglers() => gate_file::check(document, environment),
        Ok(document) => check_plans(document),
    }
}

fn of_syntax(fault: &SyntaxFault) -> Remark {
    Remark { line: fault.line, setting: String::new(), message: fault.message.clone() }
}

fn check_plans(document: &Document) -> Checked {
    let of_fault = |fault: &PlanFault| Remark {
        line: fault.line,
        setting: fault.setting.clone(),
        message: fault.message.clone(),
    };
    match PlanFile::read(document) {
        Err(faults) => Checked { faults: faults.iter().map(of_fault).collect(), ..Checked::default() },
        Ok(file) => {
            let surprises = locate(&advice::on_plans("plans", &file.plans), document, None, &file.written);
            Checked { surprises: surprises.iter().map(of_fault).collect(), ..Checked::default() }
        }
    }
}

fn ask_all(screen: Screen, http: &Http, payment: &PaymentConfig) -> Vec<Asked> {
    let ask = |facilitator: &Facilitator| {
        let spinner = screen.waiting(format!("asking {}", facilitator.url));
        let found = ask(http, facilitator, payment);
        spinner.finish_and_clear();
        Asked { facilitator: facilitator.url.to_string(), found }
    };
    payment.facilitators.iter().map(ask).collect()
}

fn ask(http: &Http, facilitator: &Facilitator, payment: &PaymentConfig) -> Outcome<Vec<String>> {
    let url = facilitator.at("supported");
    let token = match facilitator.auth {
        Auth::None => None,
        Auth::Bearer => clock::variable("FACILITATOR_TOKEN"),
        Auth::Cdp => {
            let why = "answers only the gate's own tokens (auth = \"cdp\"); ask GET /health?deep=1";
            return Err(Failure::unreachable(format!("{url} {why}")));
        }
    };
    let headers = token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
    let call = Call {
        method: "GET".to_owned(),
        url: super::http::url(&url)?,
        headers: headers.into_iter().collect(),
        body: None,
    };
    let answer = http.send(&call)?;
    let supported = answer.json().filter(|_| answer.is_success());
    let supported = supported.ok_or_else(|| Failure::refused(format!("{url} answers {}", answer.status)))?;
    advice::unsupported(payment, &supported).map_err(|why| Failure::refused(format!("{url} {why}")))
}

/// What is reached and says no is worse than what is not reached.
fn verdict(checked: &Checked, local: Option<&LocalSecrets>, asked: &[Asked]) -> Outcome {
    let lacks = |asked: &Asked| match &asked.found {
        Ok(lacking) => !lacking.is_empty(),
        Err(failure) => failure.kind() == Kind::Refused,
    };
    let are_bad = local.is_some_and(|local| !local.faults.is_empty());
    if !checked.faults.is_empty() || are_bad || asked.iter().any(lacks) {
        Err(Failure::told(Kind::Refused))
    } else if asked.iter().any(|asked| asked.found.is_err()) {
        Err(Failure::told(Kind::Unreachable))
    } else {
        Ok(())
    }
}

fn to_json(file: &SettingsFile, checked: &Checked, local: Option<&LocalSecrets>, asked: &[Asked]) -> Value {
    let remark = |remark: &Remark| {
        json!({
            "line": remark.line,
            "setting": remark.setting,
            "message": remark.message,
            "source": file.line(remark.line).map(str::trim),
        })
    };
    let facilitators = asked.iter().map(|asked| {
        let (lacking, error) = match &asked.found {
            Ok(lacking) => (json!(lacking), Value::Null),
            Err(failure) => (Value::Null, failure.to_string().into()),
        };
        json!({ "url": asked.facilitator, "unsupported": lacking, "error": error })
    });
    json!({
        "file": file.name,
        "kind": if file.is_wranglers() { "wrangler" } else { "plans" },
        "ok": checked.faults.is_empty() && local.is_none_or(|local| local.faults.is_empty()),
        "errors": checked.faults.iter().map(remark).collect::<Vec<_>>(),
        "warnings": checked.surprises.iter().map(remark).collect::<Vec<_>>(),
        "secrets": names_of(checked, |used| used == Use::Needed),
        "optional_secrets": names_of(checked, |used| matches!(used, Use::Optional(_))),
        "local_secrets": local.map(LocalSecrets::to_json),
        "facilitators": facilitators.collect::<Vec<_>>(),
    })
}

/// The secrets of which that is true.
fn names_of(checked: &Checked, is: impl Fn(Use) -> bool) -> Vec<&str> {
    checked.secrets.iter().filter(|(_, used)| is(**used)).map(|(name, _)| name.as_str()).collect()
}

fn to_text(file: &SettingsFile, checked: &Checked, local: Option<&LocalSecrets>, asked: &[Asked]) -> String {
    let mut lines = Vec::new();
    for (style, kind, remarks) in [(BAD, "error", &checked.faults), (WARN, "warning", &checked.surprises)] {
        for remark in remarks {
            lines.push(told(file, remark, &styled(style, kind)));
        }
    }
    lines.extend(asked.iter().flat_map(told_of_facilitator));
    lines.extend(told_of_secrets(checked));
    lines.extend(local.iter().flat_map(|local| local.to_lines()));
    lines.push(summary(&file.name, &checked.faults, &checked.surprises));
    lines.join("\n")
}

/// What a deploy must bring beside the file, and may.
fn told_of_secrets(checked: &Checked) -> Vec<String> {
    let note = |text: String| format!("{}: {text}", styled(DIM, "note"));
    let needed = names_of(checked, |used| used == Use::Needed).join(", ");
    let optional: Vec<String> = checked
        .secrets
        .iter()
        .filter_map(|(name, used)| match used {
            Use::Optional(does) => Some(format!("{name} ({does})")),
            Use::Needed | Use::None(_) => None,
        })
        .collect();
    let needed = (!needed.is_empty()).then(|| note(format!("a deploy needs the secrets {needed}")));
    let may = (!optional.is_empty()).then(|| note(format!("it may have {}", optional.join(", "))));
    needed.into_iter().chain(may).collect()
}

fn told(file: &SettingsFile, remark: &Remark, kind: &str) -> String {
    let Remark { line, setting, message } = remark;
    let subject = if setting.is_empty() { message.clone() } else { format!("{setting}: {message}") };
    // What is missing altogether stands in no line; the first is as good as a comment.
    let source = file.line(*line).filter(|source| !source.trim().is_empty() && !source.starts_with('#'));
    let source = source.map(|source| {
        let gutter = format!("{line:>5} |");
        format!("\n{} {}", styled(DIM, gutter), source.trim_end())
    });
    format!("{}:{line}: {kind}: {subject}{}", file.name, source.unwrap_or_default())
}

fn told_of_facilitator(asked: &Asked) -> Vec<String> {
    let url = &asked.facilitator;
    match &asked.found {
        Ok(lacking) if lacking.is_empty() => {
            vec![format!("{}: {url} supports all offers", styled(GOOD, "ok"))]
        }
        Ok(lacking) => lacking
            .iter()
            .map(|offer| format!("{}: {url} does not support {offer}", styled(BAD, "error")))
            .collect(),
        Err(failure) => vec![format!("{}: {failure}", styled(BAD, "error"))],
    }
}

fn summary(name: &str, faults: &[Remark], surprises: &[Remark]) -> String {
    let count = |many: usize, what: &str| format!("{many} {what}{}", if many == 1 { "" } else { "s" });
    let (errors, warnings) = (faults.len(), surprises.len());
    let verdict = match (errors, warnings) {
        (0, 0) => styled(GOOD, "good"),
        (0, _) => format!("{}, {}", styled(GOOD, "good"), count(warnings, "warning")),
        (_, 0) => styled(BAD, count(errors, "error")),
        _ => format!("{}, {}", styled(BAD, count(errors, "error")), count(warnings, "warning")),
    };
    format!("{name}: {verdict}")
}
