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
    /// A receipt.
    Receipt,
    /// The key that receipts are signed with.
    ReceiptKey,
    /// What a problem means.
    Problem,
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
        Self::Receipt,
        Self::ReceiptKey,
        Self::Problem,
        Self::Attempt,
        Self::End,
    ];

    fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::Health => ("GET", "/health"),
            Self::Limits => ("GET", "/limits"),
            Self::Usage => ("GET", "/usage"),
            Self::Receipt => ("GET", "/receipts/{id}"),
            Self::ReceiptKey => ("GET", "/receipt-key"),
            Self::Problem => ("GET", "/problems/{type}"),
            Self::Attempt => ("POST", "/attempt"),
            Self::End => ("POST", "/end"),
        }
    }
}
