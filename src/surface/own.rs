//! The operations for clients, and those for backends.

use super::Operation;

/// An operation that is not the owner's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnOperation {
    /// Whether the gate answers.
    Health,
    /// The caller's limits.
    Limits,
    /// The caller's bill.
    Usage,
    /// Prepaid credits are bought.
    BuyCredits,
    /// A receipt.
    Receipt,
    /// The key that receipts are signed with.
    ReceiptKey,
    /// What is for sale.
    Offers,
    /// The description of all this (OpenAPI 3.1).
    OpenApi,
    /// The same for language models (llmstxt.org).
    LlmsText,
    /// The resources that are sold, for x402 directories.
    WellKnown,
    /// What a problem means.
    Problem,
    /// The owner's dashboard.
    Dashboard,
    /// A backend asks whether a request may pass.
    Attempt,
    /// A backend tells that a request has ended.
    End,
}

impl Operation for OwnOperation {
    const ALL: &'static [Self] = &[
        Self::Health,
        Self::Limits,
        Self::Usage,
        Self::BuyCredits,
        Self::Receipt,
        Self::ReceiptKey,
        Self::Offers,
        Self::OpenApi,
        Self::LlmsText,
        Self::WellKnown,
        Self::Problem,
        Self::Dashboard,
        Self::Attempt,
        Self::End,
    ];

    fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::Health => ("GET", "/health"),
            Self::Limits => ("GET", "/limits"),
            Self::Usage => ("GET", "/usage"),
            Self::BuyCredits => ("POST", "/credits"),
            Self::Receipt => ("GET", "/receipts/{id}"),
            Self::ReceiptKey => ("GET", "/receipt-key"),
            Self::Offers => ("GET", "/offers"),
            Self::OpenApi => ("GET", "/openapi.json"),
            Self::LlmsText => ("GET", "/llms.txt"),
            Self::WellKnown => ("GET", "/.well-known/x402"),
            Self::Problem => ("GET", "/problems/{type}"),
            Self::Dashboard => ("GET", "/dashboard"),
            Self::Attempt => ("POST", "/attempt"),
            Self::End => ("POST", "/end"),
        }
    }
}

impl OwnOperation {
    /// Those that are also at the root of the host where the owner wants that (`discovery = "root"`).
    #[must_use]
    pub fn at_root(method: &str, path: &str) -> Option<Self> {
        let is_read = matches!(method, "GET" | "HEAD");
        let mut discovery = [Self::OpenApi, Self::LlmsText, Self::WellKnown].into_iter();
        discovery.find(|operation| is_read && operation.route().1 == path)
    }
}
