//! The owner's operations, under `/admin`.

use super::Operation;

/// An operation of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminOperation {
    /// All plans.
    ListPlans,
    /// A plan file, applied as one.
    PutPlans,
    /// One plan.
    GetPlan,
    /// One plan, made or changed.
    PutPlan,
    /// One plan, taken away.
    DeletePlan,
    /// The plan of clients that have no other.
    GetDefaultPlan,
    /// Another plan for them.
    PutDefaultPlan,
    /// All keys.
    ListKeys,
    /// A new key.
    CreateKey,
    /// One key.
    GetKey,
    /// One key, revoked.
    RevokeKey,
    /// The accounts that the owner gave something.
    ListAccounts,
    /// One account.
    GetAccount,
    /// A plan for an account.
    PutAccountPlan,
    /// An account's credits.
    ListCredits,
    /// A block of credits for an account.
    GrantCredits,
    /// A block of credits, taken back.
    DeleteCredits,
    /// The end of all that an account was granted so far.
    ExpireCredits,
    /// Credits, deducted.
    DeductCredits,
    /// Payments whose settlement began.
    ListPayments,
    /// One payment.
    GetPayment,
    /// Another look at a payment whose outcome is open.
    RetryPayment,
    /// What all accounts used and owe.
    Usage,
    /// What all clients did together.
    Stats,
    /// The clients with the most requests.
    Top,
    /// Who changed what.
    ListAudit,
}

impl Operation for AdminOperation {
    const ALL: &'static [Self] = &[
        Self::ListPlans,
        Self::PutPlans,
        Self::GetPlan,
        Self::PutPlan,
        Self::DeletePlan,
        Self::GetDefaultPlan,
        Self::PutDefaultPlan,
        Self::ListKeys,
        Self::CreateKey,
        Self::GetKey,
        Self::RevokeKey,
        Self::ListAccounts,
        Self::GetAccount,
        Self::PutAccountPlan,
        Self::ListCredits,
        Self::GrantCredits,
        Self::DeleteCredits,
        Self::ExpireCredits,
        Self::DeductCredits,
        Self::ListPayments,
        Self::GetPayment,
        Self::RetryPayment,
        Self::Usage,
        Self::Stats,
        Self::Top,
        Self::ListAudit,
    ];

    fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::ListPlans => ("GET", "/admin/plans"),
            Self::PutPlans => ("PUT", "/admin/plans"),
            Self::GetPlan => ("GET", "/admin/plans/{name}"),
            Self::PutPlan => ("PUT", "/admin/plans/{name}"),
            Self::DeletePlan => ("DELETE", "/admin/plans/{name}"),
            Self::GetDefaultPlan => ("GET", "/admin/default-plan"),
            Self::PutDefaultPlan => ("PUT", "/admin/default-plan"),
            Self::ListKeys => ("GET", "/admin/keys"),
            Self::CreateKey => ("POST", "/admin/keys"),
            Self::GetKey => ("GET", "/admin/keys/{id}"),
            Self::RevokeKey => ("DELETE", "/admin/keys/{id}"),
            Self::ListAccounts => ("GET", "/admin/accounts"),
            Self::GetAccount => ("GET", "/admin/accounts/{id}"),
            Self::PutAccountPlan => ("PUT", "/admin/accounts/{id}/plan"),
            Self::ListCredits => ("GET", "/admin/accounts/{id}/credits"),
            Self::GrantCredits => ("POST", "/admin/accounts/{id}/credits"),
            Self::DeleteCredits => ("DELETE", "/admin/accounts/{id}/credits/{block}"),
            Self::ExpireCredits => ("POST", "/admin/accounts/{id}/credits/expire"),
            Self::DeductCredits => ("POST", "/admin/accounts/{id}/credits/deduct"),
            Self::ListPayments => ("GET", "/admin/payments"),
            Self::GetPayment => ("GET", "/admin/payments/{id}"),
            Self::RetryPayment => ("POST", "/admin/payments/{id}/retry"),
            Self::Usage => ("GET", "/admin/usage"),
            Self::Stats => ("GET", "/admin/stats"),
            Self::Top => ("GET", "/admin/top"),
            Self::ListAudit => ("GET", "/admin/audit"),
        }
    }
}
