//! The suite's report.

use std::fmt;

/// The outcome of each claim.
#[derive(Clone, Debug)]
pub struct Report {
    /// The claims in the order in which they were checked.
    pub outcomes: Vec<Outcome>,
}

/// The outcome of one claim.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The claim, such as `keys_are_ordered_as_unsigned_bytes`.
    pub claim: &'static str,
    /// The verdict on the claim.
    pub verdict: Verdict,
}

/// The verdict on a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It holds.
    Holds,
    /// Unknown: the store is not to blame, or was already blamed for it. In words: why.
    NotChecked(String),
    /// It does not hold. In words: what the store did.
    Fails(String),
}

/// Progress of a suite.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A claim is about to be checked.
    Starts(&'static str),
    /// The outcome of a claim.
    Ends(&'a Outcome),
}

impl Report {
    /// Returns whether the store was checked and no claim fails. Claims that were not checked do
    /// not count as failing.
    pub fn passed(&self) -> bool {
        self.holding() > 0 && self.failing() == 0
    }

    /// Returns how many claims hold.
    pub fn holding(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Holds).count()
    }

    /// Returns how many claims fail.
    pub fn failing(&self) -> usize {
        self.outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Fails(_))).count()
    }

    /// Returns how many claims were not checked.
    pub fn not_checked(&self) -> usize {
        self.outcomes.len() - self.holding() - self.failing()
    }
}

/// One line for each claim.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outcomes.iter().try_for_each(|outcome| writeln!(f, "{outcome}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = self.claim;
        match &self.verdict {
            Verdict::Holds => write!(f, "ok      {claim}"),
            Verdict::NotChecked(why) => write!(f, "not checked  {claim}: {why}"),
            Verdict::Fails(why) => write!(f, "FAILED  {claim}: {why}"),
        }
    }
}
