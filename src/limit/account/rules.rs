//! What holds for an account, whatever it did: from the settings, and its plan.

use crate::endpoint::EndpointName;
use crate::limit::plan::{Endpoint, Plan, Plans};
use crate::notice::Kinds;

/// What holds for every account, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The plans.
    pub plans: &'a Plans,
    /// The plan of the account: its own, or the default of its kind.
    pub plan: &'a str,
    /// Whether payments are taken; without them, `pay` behaves as `block`.
    pub payment: bool,
    /// What the owner is told of.
    pub notices: Kinds,
    /// The decimals of what bills are written in.
    pub decimals: u8,
}

impl<'a> Rules<'a> {
    pub(super) fn plan(&self) -> Option<&'a Plan> {
        self.plans.get(self.plan)
    }

    pub(super) fn endpoint(&self, name: &EndpointName) -> Option<&'a Endpoint> {
        self.plan().and_then(|plan| plan.endpoint(name))
    }
}
