//! What the gate says of itself: the documents of `crate::discovery`, made from the plans in force.

use worker::web_sys;

use super::answer;
use super::exchange::{Exchange, Outcome};
use crate::discovery::catalogue::{Catalogue, MAX_AGE};
use crate::discovery::{Site, llms, openapi, well_known};
use crate::pages::{Kept, problem as explanation};
use crate::problem::{Problem, ProblemKind};

/// `GET /offers`.
pub(super) async fn offers(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let body = catalogue(exchange).await?.to_json().to_string();
    public(exchange, "application/json", &body)
}

/// `GET /openapi.json`.
pub(super) async fn openapi(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let origin = exchange.site();
    let body = openapi::document(site(exchange, &origin), &catalogue(exchange).await?).to_string();
    public(exchange, "application/json", &body)
}

/// `GET /llms.txt`.
pub(super) async fn llms(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let origin = exchange.site();
    let body = llms::text(site(exchange, &origin), &catalogue(exchange).await?);
    public(exchange, "text/plain; charset=utf-8", &body)
}

/// `GET /.well-known/x402`.
pub(super) async fn well_known(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let origin = exchange.site();
    let body = well_known::document(site(exchange, &origin), &catalogue(exchange).await?).to_string();
    public(exchange, "application/json", &body)
}

/// `GET /problems/{type}`: a page for browsers, JSON for programs.
pub(super) fn problem(exchange: &Exchange, name: &str) -> Outcome<web_sys::Response> {
    let Some(kind) = ProblemKind::of_page(name) else {
        return Err(Problem::new(ProblemKind::NotFound, format!("there is no problem type `{name}`")));
    };
    let answer = if explanation::wants_html(exchange.header("Accept").as_deref()) {
        let html = explanation::html(kind, &exchange.settings.config.prefix);
        exchange.ours(answer::page(200, &html, &explanation::PAGE.fields(Kept::Public(MAX_AGE))))?
    } else {
        public(exchange, "application/json", &explanation::json(kind).to_string())?
    };
    exchange.ours((|| {
        answer.headers().set("Vary", "Accept")?;
        Ok(answer)
    })())
}

/// What is for sale by the plans in force.
async fn catalogue(exchange: &Exchange) -> Outcome<Catalogue> {
    exchange.in_force().await.map(|config| Catalogue::of(&config))
}

fn site<'a>(exchange: &'a Exchange, origin: &'a str) -> Site<'a> {
    Site { origin, prefix: &exchange.settings.config.prefix }
}

/// An answer that is the same for everybody, and may be kept for some minutes.
fn public(exchange: &Exchange, media_type: &str, body: &str) -> Outcome<web_sys::Response> {
    exchange.ours((|| {
        let answer = answer::text(200, media_type, body)?;
        answer.headers().set("Cache-Control", &format!("public, max-age={MAX_AGE}"))?;
        Ok(answer)
    })())
}
