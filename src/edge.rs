//! Where it runs: Cloudflare. The only part of the crate that names the platform.
//!
//! `gate` answers every request; `account_object` and `payment_object` are the Durable Objects behind it. Each of
//! their handlers parses, loads, makes one call into the domain, stores and answers.

mod access;
mod account_calls;
mod account_object;
mod account_schedule;
mod admin;
mod answer;
mod asked;
mod attest;
mod authorization_search;
mod backend_endpoints;
mod backend_request;
mod bill_ledger;
mod body;
mod channel;
mod clock;
mod content;
mod credit_counter;
mod deadline;
mod departure;
mod discovery;
mod ending;
mod escrow_chain;
mod exchange;
mod facilitator_client;
mod gate;
mod health;
mod identity;
mod keys;
mod ledger;
mod mpp;
mod node;
mod objects;
mod origin;
mod outgoing;
mod over_limit;
mod own_endpoints;
mod owner_ledger;
mod paid_answer;
mod paid_call;
mod paid_stream;
mod pay_page;
mod payment_ledger;
mod payment_name;
mod payment_names;
mod payment_object;
mod plan_file;
mod plan_ledger;
mod plans_in_force;
mod pledge;
mod presented;
mod queue;
mod receipt_store;
mod record;
mod redeeming;
mod retention;
mod session;
mod settings;
mod signed_context;
mod socket;
mod trust;
mod usage_ledger;
mod webcrypto;
mod webhook;

use worker::{Context, Env, ScheduleContext, ScheduledEvent, event, web_sys};

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    gate::answer(request, env, context).await
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    retention::prune(&env).await;
}
