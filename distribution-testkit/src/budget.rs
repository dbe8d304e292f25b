//! How much a test tries.

use std::env::{self, VarError};

/// How much is tried where more takes longer: chosen for all tests of a run by the environment variable
/// `PROOF`.
///
/// ```
/// use distribution_testkit::Budget;
///
/// let kills = Budget::chosen().pick(20, 1_000, 20_000);
/// assert!(kills >= 20);
/// assert_eq!(Budget::Ci.pick("seconds", "minutes", "hours"), "minutes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// `PROOF` is not set, or empty: seconds, so that it is always run.
    Quick,
    /// `PROOF=ci`: minutes.
    Ci,
    /// `PROOF=long`: hours.
    Long,
}

impl Budget {
    /// The budget of this run.
    ///
    /// # Panics
    /// If `PROOF` is anything else: a budget that was misspelt must not pass for the quick one.
    #[expect(clippy::panic, reason = "a test with an unknown budget must fail")]
    pub fn chosen() -> Self {
        Self::of(env::var("PROOF")).unwrap_or_else(|unknown| panic!("{unknown}"))
    }

    /// What this budget has of something.
    pub fn pick<T>(self, quick: T, ci: T, long: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Ci => ci,
            Self::Long => long,
        }
    }

    fn of(variable: Result<String, VarError>) -> Result<Self, String> {
        match variable.as_deref() {
            Err(VarError::NotPresent) | Ok("") => Ok(Self::Quick),
            Ok("ci") => Ok(Self::Ci),
            Ok("long") => Ok(Self::Long),
            Ok(other) => Err(format!("PROOF is `ci`, `long` or not set, not `{other}`")),
            Err(VarError::NotUnicode(_)) => Err("PROOF is `ci`, `long` or not set, and this is no text".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_budget_is_not_the_quick_one() {
        let of = |variable: &str| Budget::of(Ok(variable.to_owned()));
        assert_eq!(Budget::of(Err(VarError::NotPresent)), Ok(Budget::Quick));
        assert_eq!((of(""), of("ci"), of("long")), (Ok(Budget::Quick), Ok(Budget::Ci), Ok(Budget::Long)));
        for other in ["CI", "quick", "ci ", "1", "true"] {
            assert!(of(other).unwrap_err().contains(&format!("not `{other}`")));
        }
        assert!(Budget::of(Err(VarError::NotUnicode("ci".into()))).is_err());
    }
}
