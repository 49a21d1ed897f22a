//! The exit codes. They are API: programs act on them (DESIGN R20).

use std::process::ExitCode;

use auth_core::outcome::Outcome;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or the call is allowed.
    Ok,
    /// Something that should not happen.
    Unexpected,
    /// The command makes no sense as typed.
    Usage,
    /// A policy file does not load.
    BadFile,
    /// Cases came out otherwise than they say.
    CasesFailed,
    /// What was named is not there.
    NotFound,
    /// The operator is not known or not allowed.
    NotPermitted,
    /// No answer, or the call's decision is undetermined.
    Unavailable,
    /// Something else is there, or has changed.
    Conflict,
    /// The call is denied.
    Deny,
    /// The call needs somebody signed in.
    Unauthenticated,
    /// The call makes no sense.
    Invalid,
    /// The call is one too many.
    Limited,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::BadFile => 3,
            Self::CasesFailed => 4,
            Self::NotFound => 5,
            Self::NotPermitted => 6,
            Self::Unavailable => 7,
            Self::Conflict => 8,
            Self::Deny => Outcome::Deny.exit_code(),
            Self::Unauthenticated => Outcome::Unauthenticated.exit_code(),
            Self::Invalid => Outcome::Invalid.exit_code(),
            Self::Limited => Outcome::Limited.exit_code(),
        }
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Allow => Self::Ok,
            Outcome::Deny => Self::Deny,
            Outcome::Unauthenticated => Self::Unauthenticated,
            Outcome::Invalid => Self::Invalid,
            Outcome::Limited => Self::Limited,
            Outcome::Undetermined => Self::Unavailable,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_of_an_outcome_has_the_number_of_the_table() {
        for outcome in Outcome::ALL {
            assert_eq!(
                Exit::from(outcome).code(),
                outcome.exit_code(),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn the_clis_own_troubles_keep_their_numbers() {
        let own = [
            (Exit::Ok, 0),
            (Exit::Unexpected, 1),
            (Exit::Usage, 2),
            (Exit::BadFile, 3),
            (Exit::CasesFailed, 4),
            (Exit::NotFound, 5),
            (Exit::NotPermitted, 6),
            (Exit::Unavailable, 7),
            (Exit::Conflict, 8),
        ];
        for (exit, code) in own {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
