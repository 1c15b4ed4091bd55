//! `GET /admin/usage`: what all accounts used and owe, grouped as the owner wants it, as JSON or as CSV.

use worker::web_sys;

use super::Order;
use crate::bill::report::{BillLine, Grouping, csv_header, csv_lines};
use crate::bill::summary::Period;
use crate::edge::asked::bad;
use crate::edge::bill_ledger::{self, Wanted};
use crate::edge::exchange::Outcome;
use crate::edge::{answer, clock};
use crate::owner::page::Page;

/// Lines that are read at once for CSV, and how often at most: 100,000 lines are some ten megabytes.
const CSV_PAGE: u64 = 1000;
const CSV_PAGES: usize = 100;

/// `GET /admin/usage?account=&from=&to=&group_by=`.
pub(super) async fn report(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let period = order.period(Period::month_so_far(clock::now()))?;
    let grouping = order.parameter("group_by").map_or(Ok(Grouping::default()), |text| text.parse());
    let grouping: Grouping = grouping.map_err(bad)?;
    let account = order.parameter("account").filter(|account| !account.is_empty());
    let page = order.page()?;
    let wanted = Wanted { account: account.as_deref(), period, grouping: &grouping, page: &page };
    let accept = order.exchange.header("Accept").unwrap_or_default();
    if accept.to_ascii_lowercase().contains("text/csv") {
        return csv(order, &wanted).await;
    }
    let lines = order.exchange.ledger(bill_ledger::bill(&order.exchange.env, &wanted).await)?;
    let (_, decimals) = order.exchange.settings.config.currency();
    let item = |line: &BillLine| line.item(&grouping, decimals);
    order.json(200, &page.body(lines, |line| line.group.clone(), item))
}

/// All lines, unless the owner wants a page of them.
async fn csv(order: &Order<'_>, wanted: &Wanted<'_>) -> Outcome<web_sys::Response> {
    let lines = if order.parameter("limit").is_some() || order.parameter("cursor").is_some() {
        let mut lines = order.exchange.ledger(bill_ledger::bill(&order.exchange.env, wanted).await)?;
        let _ = wanted.page.cut(&mut lines, |line| line.group.clone());
        lines
    } else {
        all_lines(order, wanted).await?
    };
    let (_, decimals) = order.exchange.settings.config.currency();
    let text = csv_header(wanted.grouping) + &csv_lines(&lines, decimals);
    order.exchange.ours(answer::text(200, "text/csv; charset=utf-8", &text))
}

async fn all_lines(order: &Order<'_>, wanted: &Wanted<'_>) -> Outcome<Vec<BillLine>> {
    let mut lines = Vec::new();
    let mut page = Page::first(CSV_PAGE);
    for _ in 0..CSV_PAGES {
        let part = Wanted { page: &page, ..*wanted };
        let mut more = order.exchange.ledger(bill_ledger::bill(&order.exchange.env, &part).await)?;
        let next = page.cut(&mut more, |line| line.group.clone());
        lines.extend(more);
        match next {
            Some(place) => page = page.behind(place),
            None => return Ok(lines),
        }
    }
    Err(bad(
        "these are more than 100,000 lines; ask for less time at once, group by less, or take pages with `limit`",
    ))
}
