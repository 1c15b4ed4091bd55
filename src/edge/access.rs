//! Who may administer, and who may ask for decisions: whoever has the admin token, or a key with the scope.

use super::exchange::{Exchange, Outcome};
use super::identity;
use crate::client::is_tollgate_key;
use crate::client::key::Scope;
use crate::config::secrets::AdminToken;
use crate::contract::AccountCall;
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;

/// After too many wrong tokens: one more may be tried after 6 s.
const NEXT_TRY: Span = Span::seconds(6);

/// Lets the owner pass, and tells by what name the audit table knows them.
pub(super) async fn admin(exchange: &Exchange) -> Outcome<&str> {
    let token = token(exchange)?;
    let Some(given) = given(exchange) else { return Err(unauthorized()) };
    let is_right = token.is(&given);
    let tried = AccountCall::TryAdmin(is_right);
    if !exchange.ask(&identity::address(exchange), tried).await? {
        let detail = "too many wrong admin tokens came from this address; also a right one must wait now";
        return Err(Problem::new(ProblemKind::TooManyFailures, detail).retry_after(Some(NEXT_TRY)));
    }
    if is_right { Ok(token.name()) } else { Err(unauthorized()) }
}

/// Lets the owner pass, and keys that may ask for decisions.
pub(super) async fn backend(exchange: &Exchange) -> Outcome<()> {
    token(exchange)?;
    match given(exchange) {
        Some(key) if is_tollgate_key(&key) => {
            if identity::key_allows(exchange, Scope::Decide).await? {
                return Ok(());
            }
            let detail = "this key may not ask for decisions; it needs the scope `decide`";
            Err(Problem::new(ProblemKind::Unauthorized, detail))
        }
        _ => admin(exchange).await.map(|_| ()),
    }
}

/// Without an admin token configured there is nothing here.
fn token(exchange: &Exchange) -> Outcome<&AdminToken> {
    exchange.settings.secrets.admin_token.as_ref().ok_or_else(|| {
        Problem::new(ProblemKind::UnknownEndpoint, "this needs the secret ADMIN_TOKEN, which is not set")
    })
}

fn given(exchange: &Exchange) -> Option<String> {
    let field = exchange.header("Authorization")?;
    let (scheme, token) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn unauthorized() -> Problem {
    Problem::new(
        ProblemKind::Unauthorized,
        "the admin token is wrong or absent; send Authorization: Bearer …",
    )
}
