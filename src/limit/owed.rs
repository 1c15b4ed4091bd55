//! What is missing from a limit because a credit was taken back after it had been used: it comes off what is added next.
//!
//! A limit holds something or owes something, never both.

use super::tokens::Tokens;

/// What is held and owed when `quantity` is taken back: what is not there is owed.
pub(super) const fn taken_back((held, owed): (Tokens, Tokens), quantity: Tokens) -> (Tokens, Tokens) {
    match held.minus(quantity) {
        Some(left) => (left, owed),
        None => (Tokens::ZERO, owed.plus(quantity.less(held))),
    }
}

/// What is held and owed when `quantity` is added: what is owed comes first.
pub(super) const fn added((held, owed): (Tokens, Tokens), quantity: Tokens) -> (Tokens, Tokens) {
    (held.plus(quantity.less(owed)), owed.less(quantity))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "sums of a test")]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is added and taken back, in any order, held less owed is what was added less what was taken back.
        #[test]
        fn nothing_is_forgiven_and_nothing_lost(changes in prop::collection::vec((any::<bool>(), 0..1_000_u64), 0..50)) {
            let (mut state, mut balance) = ((Tokens::ZERO, Tokens::ZERO), 0_i128);
            for (adds, quantity) in changes {
                let tokens = Tokens::micro(quantity);
                state = if adds { added(state, tokens) } else { taken_back(state, tokens) };
                balance += i128::from(quantity) * if adds { 1 } else { -1 };
                prop_assert_eq!(i128::from(state.0.get()) - i128::from(state.1.get()), balance);
                prop_assert!(state.0 == Tokens::ZERO || state.1 == Tokens::ZERO);
            }
        }
    }
}
