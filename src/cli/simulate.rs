//! `tollgate simulate`: what the plans of a file would admit, sell and refuse.

use serde_json::{Value, json};

use super::arguments::Simulate;
use super::check::check;
use super::failure::{Failure, Outcome};
use super::file::{self, SettingsFile};
use super::screen::{NAME, Screen, styled, table};
use super::{plot, svg};
use crate::config::plan_file::PlanFile;
use crate::endpoint::EndpointName;
use crate::limit::plan::Plans;
use crate::limit::simulation::{Load, Simulation, Summary, endpoint_named};
use crate::time::{Millis, Span};

/// The most requests of a run: some ten seconds of work for each plan.
const MOST_REQUESTS: u64 = 5_000_000;

/// A run of one plan.
struct Run<'a> {
    plan: &'a str,
    endpoint: EndpointName,
    summary: Summary,
}

/// Simulates.
pub(super) fn run(screen: Screen, arguments: &Simulate) -> Outcome {
    let plans = read_plans(&SettingsFile::read(&arguments.file)?)?;
    let load = Load {
        pace: arguments.rate,
        length: arguments.length,
        takes: arguments.takes,
        units: arguments.units.clone().unwrap_or_default(),
        pays: !arguments.no_pay,
    };
    let requests = load.pace.requests_in(load.length);
    if load.length == Span::ZERO || requests > MOST_REQUESTS {
        let message = format!(
            "these are {requests} requests; --rate and --for must come to between 1 and {MOST_REQUESTS}"
        );
        return Err(Failure::usage(message));
    }
    let chosen = choose(&plans, arguments)?;
    let runs: Vec<Run<'_>> = chosen
        .into_iter()
        .filter_map(|(plan, endpoint)| run_plan(screen, &plans, plan, endpoint, &load))
        .collect();
    if let Some(path) = &arguments.svg {
        let titled: Vec<(String, &Summary)> =
            runs.iter().map(|run| (format!("{}: {}", run.plan, run.endpoint), &run.summary)).collect();
        file::write(path, svg::picture(&titled).as_bytes())?;
    }
    screen.result(
        &json!({ "requests": requests, "runs": runs.iter().map(to_json).collect::<Vec<_>>() }),
        || to_text(&runs),
    )
}

fn read_plans(file: &SettingsFile) -> Outcome<Plans> {
    let checked = check(file, None);
    if !checked.faults.is_empty() {
        let said: Vec<String> = checked.faults.iter().map(ToString::to_string).collect();
        return Err(Failure::refused(format!("{} has faults:\n  {}", file.name, said.join("\n  "))));
    }
    let read = match (checked.config, &file.document) {
        (Some(config), _) => Some(config.plans),
        (None, Ok(document)) => PlanFile::read(document).ok().map(|file| file.plans),
        (None, Err(_)) => None,
    };
    read.ok_or_else(|| Failure::usage(format!("{}: holds no plans", file.name)))
}

/// The plans that list the endpoint, with the name that each has for it.
fn choose<'a>(plans: &'a Plans, arguments: &Simulate) -> Outcome<Vec<(&'a str, EndpointName)>> {
    let wanted = arguments.plan.as_deref();
    if let Some(name) = wanted.filter(|name| plans.get(name).is_none()) {
        return Err(Failure::usage(format!("there is no plan `{name}`; there is: {}", plans.names())));
    }
    let considered = plans.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
    let chosen: Vec<(&str, EndpointName)> = considered
        .filter_map(|(name, plan)| Some((name, endpoint_named(plan, &arguments.endpoint)?.name.clone())))
        .collect();
    if chosen.is_empty() {
        let listed =
            plans.iter().flat_map(|(_, plan)| plan.endpoints()).map(|endpoint| endpoint.name.to_string());
        let listed = listed.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        return Err(Failure::usage(format!(
            "no plan lists the endpoint `{}`; listed are: {}",
            arguments.endpoint,
            listed.join(", ")
        )));
    }
    Ok(chosen)
}

fn run_plan<'a>(
    screen: Screen,
    plans: &'a Plans,
    plan: &'a str,
    endpoint: EndpointName,
    load: &Load,
) -> Option<Run<'a>> {
    let requests = load.pace.requests_in(load.length);
    let bar = screen.progress(requests, "simulating");
    let mut summary = Summary::new(load.length, plot::parts_of(requests));
    // Windows are aligned to the epoch: the run begins with a minute, an hour, a day, a month and a year.
    let start = Millis::parse_rfc3339("2026-01-01").unwrap_or_default();
    for (nth, event) in (0_u64..).zip(Simulation::new(plans, plan, &endpoint, load, start)?) {
        summary.count(&event);
        if nth.is_multiple_of(1024) {
            bar.set_position(nth);
        }
    }
    bar.finish_and_clear();
    Some(Run { plan, endpoint, summary })
}

fn to_json(run: &Run<'_>) -> Value {
    let Summary { counts, refused_by, longest_wait, .. } = &run.summary;
    json!({
        "plan": run.plan,
        "endpoint": run.endpoint,
        "requests": counts.total(),
        "admitted": counts.admitted,
        "queued": counts.queued,
        "degraded": counts.degraded,
        "paid": counts.paid,
        "refused": counts.refused,
        "spent": run.summary.spent(),
        "longest_wait_ms": longest_wait.get(),
        "refused_by": refused_by,
    })
}

fn to_text(runs: &[Run<'_>]) -> String {
    let headings = [
        "plan",
        "endpoint",
        "#requests",
        "#admitted",
        "#queued",
        "#degraded",
        "#paid",
        "#refused",
        "#spent",
        "refused by",
    ];
    let row = |run: &Run<'_>| {
        let Summary { counts, refused_by, .. } = &run.summary;
        let by: Vec<String> = refused_by.iter().map(|(limit, count)| format!("{limit} ({count})")).collect();
        let numbers =
            [counts.total(), counts.admitted, counts.queued, counts.degraded, counts.paid, counts.refused];
        let mut cells = vec![run.plan.to_owned(), run.endpoint.to_string()];
        cells.extend(numbers.map(|number| number.to_string()));
        cells.push(run.summary.spent().unwrap_or_default());
        cells.push(by.join(", "));
        cells
    };
    let mut parts = vec![table(&headings, runs.iter().map(row))];
    for run in runs {
        parts.push(format!("\n{}: {}", styled(NAME, run.plan), run.endpoint));
        parts.push(plot::drawn(&run.summary));
    }
    parts.join("\n")
}
