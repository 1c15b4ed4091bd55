//! The command-line tool: the owner's side of a gate (checks, plans, keys, accounts, bills) and the payer's (paying, receipts).
//!
//! What is decided is decided in the domain: [`crate::config::advice`], [`crate::limit::simulation`], [`crate::pay::buyer`].
//! Here are the command line, the terminal and HTTP.

mod arguments;
mod check;
mod clock;
mod failure;
mod file;
mod gate;
mod http;
mod owner;
mod pay;
mod plot;
mod receipt;
mod screen;
mod simulate;
mod svg;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::pay::receipt::PinnedKey;
use arguments::{Arguments, Command, Receipt};
use failure::Outcome;
use gate::Gate;
use http::Http;
use owner::Owner;
use screen::Screen;

/// Runs the tool with these arguments, its own name among them, and tells how it went.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // Help was asked for, or something is written wrongly: clap says it, and its codes are ours (0 and 2).
        Err(error) => error.exit(),
    };
    let screen = Screen { json: arguments.global.json };
    match obey(screen, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                screen.failure(&failure);
            }
            failure.exit_code()
        }
    }
}

fn obey(screen: Screen, arguments: &Arguments) -> Outcome {
    let http = Http::new(arguments.global.timeout);
    let url = arguments.global.url.as_deref();
    let owner = || Ok(Owner { screen, gate: Gate::of(http.clone(), url)? });
    match &arguments.command {
        Command::Check(check) => check::run(screen, &http, check),
        Command::Plans(plans) => owner()?.plans(plans),
        Command::Keys(keys) => owner()?.keys(keys),
        Command::Accounts(accounts) => owner()?.accounts(accounts),
        Command::Credits(credits) => owner()?.credits(credits),
        Command::Usage(usage) => owner()?.usage(usage),
        Command::Payments(payments) => owner()?.payments(payments),
        Command::Top(top) => owner()?.top(top),
        Command::Receipt(Receipt::Verify { receipt, key, address }) => {
            let pinned = key.clone().or_else(|| address.map(PinnedKey::Address));
            let pinned = pinned.ok_or_else(|| failure::Failure::usage("pin a key: --key or --address"))?;
            receipt::verify(screen, &http, receipt, &pinned)
        }
        Command::Pay(pay) => pay::run(screen, &http, url, pay),
        Command::Simulate(simulate) => simulate::run(screen, simulate),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "tollgate", &mut script);
            screen::print(&script, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
