//! Which plans hold under the settings: those of `PLANS` with the owner's plan book over them, and whose each is.

use serde_json::Value;

use super::Config;
use super::table::Faults;
use crate::client::Kind;
use crate::limit::account::Rules;
use crate::limit::plan::Plans;
use crate::notice::Kinds;
use crate::owner::plan_book::PlanBook;
use crate::pay::offer::Tender;

impl Config {
    /// The settings with the owner's plan book over them.
    ///
    /// # Errors
    /// Every fault that the plans have then, and each default that no longer names a plan.
    pub fn with_book(&self, book: &PlanBook) -> Result<Self, Faults> {
        let (config, mut faults) = self.under(book);
        config.check_plan_names(&mut faults);
        config.check_prices(&mut faults);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The same for who changes the book: it may be faulty now, and better after the change.
    #[must_use]
    pub fn with_any_book(&self, book: &PlanBook) -> Self {
        self.under(book).0
    }

    fn under(&self, book: &PlanBook) -> (Self, Faults) {
        let documents = book.over(&self.documents);
        let mut faults = Faults::default();
        let plans = Plans::read("PLANS", &Value::Object(documents.clone()), &mut faults);
        let default_plan = book.default_plan.clone().or_else(|| self.default_plan.clone());
        (Self { plans, documents, default_plan, ..self.clone() }, faults)
    }

    /// The plan of clients that have no other, where there is one.
    #[must_use]
    pub fn default_plan(&self) -> Option<&str> {
        self.default_plan.as_deref()
    }

    /// Whether clients that have no plan of their own get that one.
    #[must_use]
    pub fn is_default(&self, plan: &str) -> bool {
        self.default_plan.iter().chain(self.default_plans.values()).any(|name| name == plan)
    }

    /// What holds for a client of that kind: its own plan comes first, then its kind's, then the default. A plan of its
    /// own that is gone gives access to nothing.
    #[must_use]
    pub fn rules<'a>(&'a self, kind: Kind, own: Option<&'a str>) -> Rules<'a> {
        let by_kind = || self.default_plans.get(&kind).or(self.default_plan.as_ref()).map(String::as_str);
        Rules {
            plans: &self.plans,
            plan: own.or_else(by_kind).unwrap_or_default(),
            payment: self.payment.is_some(),
            decimals: self.currency().1,
            notices: self.webhook.as_ref().map_or(Kinds::NONE, |webhook| webhook.events),
        }
    }

    pub(super) fn check_plan_names(&self, faults: &mut Faults) {
        let kinds = [Kind::Key, Kind::Wallet, Kind::Session, Kind::Ip];
        if self.default_plan.is_none() && kinds.iter().any(|kind| !self.default_plans.contains_key(kind)) {
            faults.add(
                "TOLLGATE.default_plan",
                "is missing; name the plan of clients that have none of their own",
            );
        }
        let named = self.default_plan.iter().map(|plan| ("TOLLGATE.default_plan", plan));
        let by_kind = self.default_plans.values().map(|plan| ("TOLLGATE.default_plans", plan));
        for (setting, plan) in named.chain(by_kind).filter(|(_, plan)| self.plans.get(plan).is_none()) {
            let known = self.plans.names();
            let hint =
                if known.is_empty() { "there is none".to_owned() } else { format!("there is {known}") };
            faults.add(setting, format!("there is no plan `{plan}`; {hint}"));
        }
    }

    pub(super) fn check_prices(&self, faults: &mut Faults) {
        let tenders = self.payment.iter().flat_map(|payment| &payment.tenders);
        let sold_in: Vec<u8> = tenders.map(Tender::decimals).collect();
        for (name, plan) in self.plans.iter() {
            if self.payment.is_none() {
                for written in plan.paid_by_call() {
                    let message = "needs [vars.TOLLGATE.payment]: each call is to be paid";
                    faults.add(format!("PLANS.{name}.{written}"), message);
                }
            }
            let sold =
                plan.sold().flat_map(|sold| sold_in.iter().map(move |decimals| (sold.clone(), *decimals)));
            let billed = plan.billed().map(|billed| (billed, self.currency().1));
            for ((written, price), decimals) in sold.chain(billed) {
                if let Err(error) = price.to_amount(decimals) {
                    faults.add(format!("PLANS.{name}.{written}"), error.to_string());
                }
            }
        }
    }
}
