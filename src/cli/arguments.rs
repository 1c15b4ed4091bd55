//! The command line: what can be asked, and how it is written.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use serde_json::Value;

use crate::limit::simulation::Pace;
use crate::limit::tokens::Tokens;
use crate::limit::units::Units;
use crate::pay::amount::Price;
use crate::pay::eip712::Address;
use crate::pay::receipt::PinnedKey;
use crate::time::Span;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Green.on_default());

/// Reads JSON. A text alone would do for a [`Value`] otherwise.
fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 not reachable.";

/// The owner's and the payer's side of a Tollgate: check settings before a deploy, administer a running gate, pay one, verify
/// receipts.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, styles = STYLES, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The gate: its URL, with the prefix of its own endpoints where that is not /_tollgate.
    #[arg(long, global = true, env = "TOLLGATE_URL", value_name = "URL", value_hint = ValueHint::Url)]
    pub(super) url: Option<String>,
    /// Print one JSON document instead of text; errors are JSON too, on standard error.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// How long to wait for an answer.
    #[arg(long, global = true, value_name = "TIME", default_value = "60s")]
    pub(super) timeout: Span,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a wrangler.toml or a plan file (YAML, TOML, JSON): every fault with its line, and what will surprise.
    Check(Check),
    /// Change the plans of a running gate.
    #[command(subcommand)]
    Plans(Plans),
    /// Issue and revoke API keys.
    #[command(subcommand)]
    Keys(Keys),
    /// See a client's account, and give it a plan.
    #[command(subcommand)]
    Accounts(Accounts),
    /// Grant, list and deduct prepaid credits.
    #[command(subcommand)]
    Credits(Credits),
    /// What was used and is owed.
    Usage(Usage),
    /// Payments whose settlement began.
    #[command(subcommand)]
    Payments(Payments),
    /// The clients with the most requests.
    Top(Top),
    /// Signed receipts.
    #[command(subcommand)]
    Receipt(Receipt),
    /// Send a request, and pay for it where the answer is 402.
    Pay(Pay),
    /// What a plan would admit, sell and refuse: the gate's own decisions, run over a stream of requests.
    Simulate(Simulate),
    /// Print the completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The file.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Check this environment of a wrangler.toml.
    #[arg(long, value_name = "NAME")]
    pub(super) env: Option<String>,
    /// Ask each facilitator what it supports.
    #[arg(long)]
    pub(super) online: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Plans {
    /// Apply a plan file, as one: a bad file changes nothing.
    Apply {
        /// The file (YAML, TOML or JSON).
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Take away the plans that the file does not name.
        #[arg(long)]
        replace: bool,
    },
    /// List the plans that are in force.
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key. It is shown once.
    Create {
        /// The account that it is good for; keys of one account share its limits.
        account: String,
        /// What it is called in lists.
        #[arg(long, default_value = "")]
        label: String,
        /// Give the account this plan.
        #[arg(long)]
        plan: Option<String>,
        /// What it may do beside calling the API, such as `decide`; may be repeated.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
    },
    /// List the keys.
    List,
    /// Revoke a key: it is good for nothing once this is answered.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Accounts {
    /// Show an account: its plan, keys and limits.
    Show {
        /// Such as key:acme, wallet:0x… or ip:198.51.100.9.
        account: String,
    },
    /// Give an account a plan of its own, or the default again.
    #[command(group = ArgGroup::new("which").required(true).args(["name", "default"]))]
    Plan {
        /// Such as key:acme, wallet:0x… or ip:198.51.100.9.
        account: String,
        /// The plan.
        name: Option<String>,
        /// The default of its kind again.
        #[arg(long)]
        default: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Credits {
    /// Grant a block of credits.
    Grant {
        /// The account.
        account: String,
        /// How many.
        amount: Tokens,
        /// Until when they are good (RFC 3339); for ever where it is not said.
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// What is noted with the block: any JSON.
        #[arg(long, value_name = "JSON", value_parser = json)]
        metadata: Option<Value>,
    },
    /// List an account's blocks of credits.
    List {
        /// The account.
        account: String,
    },
    /// Take credits away.
    Deduct {
        /// The account.
        account: String,
        /// How many.
        amount: Tokens,
        /// All of them or none.
        #[arg(long)]
        require_full: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Usage {
    /// Of one account.
    #[arg(long)]
    pub(super) account: Option<String>,
    /// From this time (RFC 3339, or a date).
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Until this time.
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
    /// By what it is added up: account, endpoint, unit, hour, day, month; several with commas.
    #[arg(long, value_name = "LIST")]
    pub(super) group_by: Option<String>,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    pub(super) csv: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Payments {
    /// List payments, the last first.
    List {
        /// In this state: settling, unknown, settled, credited, held, taken-back.
        #[arg(long)]
        state: Option<String>,
        /// Of one account.
        #[arg(long)]
        account: Option<String>,
    },
    /// Look again at a payment whose outcome is open.
    Retry {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Top {
    /// How many clients.
    #[arg(short, default_value_t = 5)]
    pub(super) n: u32,
}

#[derive(Debug, Subcommand)]
pub(super) enum Receipt {
    /// Check that a pinned key signed a receipt. The key that a receipt brings is never trusted.
    #[command(group = ArgGroup::new("pinned").required(true).args(["key", "address"]))]
    Verify {
        /// A file (`-`: standard input), or the URL of a receipt.
        #[arg(value_name = "FILE|URL")]
        receipt: String,
        /// The gate's public key, 0x04….
        #[arg(long, value_name = "PUBKEY")]
        key: Option<PinnedKey>,
        /// The address of that key.
        #[arg(long, value_name = "0x…", value_parser = Address::parse_checked)]
        address: Option<Address>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Pay {
    /// What to request.
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(super) resource: String,
    /// The method; GET, or POST with a body.
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub(super) request: Option<String>,
    /// A header field; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,
    /// The body; `@FILE` reads it from a file, `@-` from standard input.
    #[arg(short, long, value_name = "DATA")]
    pub(super) data: Option<String>,
    /// Write the answer's body to this file.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,
    /// Pay without asking.
    #[arg(short, long)]
    pub(super) yes: bool,
    /// The most that may be paid, in USDC.
    #[arg(long, value_name = "PRICE", default_value = "1")]
    pub(super) max_price: Price,
    /// The public key or address that must have signed the receipt; the one that the gate publishes where it is not said.
    #[arg(long, value_name = "PUBKEY|0x…")]
    pub(super) receipt_key: Option<PinnedKey>,
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// A plan file, or a wrangler.toml.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// The endpoint: a name of the plan, or a path.
    #[arg(long, value_name = "NAME")]
    pub(super) endpoint: String,
    /// How often requests come, such as 10/s.
    #[arg(long, value_name = "RATE")]
    pub(super) rate: Pace,
    /// For how long, such as 5m.
    #[arg(long = "for", value_name = "TIME")]
    pub(super) length: Span,
    /// This plan only; all that list the endpoint where it is not said.
    #[arg(long, value_name = "NAME")]
    pub(super) plan: Option<String>,
    /// How long each request takes: matters where only so many may run at the same time.
    #[arg(long, value_name = "TIME", default_value = "0ms")]
    pub(super) takes: Span,
    /// What each request uses, told at its end: token=1500.
    #[arg(long, value_name = "UNITS", value_parser = Units::parse_field)]
    pub(super) units: Option<Units>,
    /// The client never pays.
    #[arg(long)]
    pub(super) no_pay: bool,
    /// Draw it into this file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) svg: Option<PathBuf>,
}
