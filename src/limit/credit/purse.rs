//! What may be spent of an account's credits: not what those who wait in line will need.

use super::Credits;
use crate::limit::tokens::Tokens;
use crate::time::Millis;

/// What of its credits an account may spend on a request, now and later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    credits: Credits,
    /// When requests that wait will have their turn, and what each costs then.
    turns: Vec<(Millis, Tokens)>,
    /// What a payment would add.
    bought: Tokens,
}

impl Purse {
    /// The credits of an account, with the requests that wait for their turn.
    #[must_use]
    pub fn new(credits: Credits, mut turns: Vec<(Millis, Tokens)>) -> Self {
        turns.sort_unstable();
        Self { credits, turns, bought: Tokens::ZERO }
    }

    /// Whether a request of that cost may be made at `now`. One whose cost is told at its end costs some; what those who
    /// wait will need is theirs.
    #[must_use]
    pub fn affords(&self, cost: Tokens, now: Millis) -> bool {
        let (come, waiting): (Vec<_>, Vec<_>) = self.turns.iter().partition(|(turn, _)| *turn <= now);
        let credits =
            come.iter().fold(self.credits.clone(), |credits, (turn, cost)| credits.charged(*cost, *turn));
        let needed = waiting.iter().fold(credits.debt, |sum, (_, cost)| sum.plus(*cost));
        needed.plus(cost.max(Tokens::micro(1))) <= credits.balance(now).plus(self.bought)
    }

    /// The same with more credits in it.
    #[must_use]
    pub fn with(self, credits: Tokens) -> Self {
        Self { bought: self.bought.plus(credits), ..self }
    }
}
