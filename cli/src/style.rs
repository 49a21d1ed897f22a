//! Colours, and when there are any.
//!
//! Text is styled always; `anstream` takes the styles out where nobody sees them, as `--color`,
//! `NO_COLOR`, `CLICOLOR_FORCE`, `TERM=dumb` and the terminal say.

use std::ffi::OsString;

use anstream::ColorChoice;

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// Makes the choice for all of the process.
pub fn choose(when: When) {
    match when {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::AlwaysAnsi,
        When::Never => ColorChoice::Never,
    }
    .write_global();
}

/// What `--color` says, read before the other arguments so that their errors heed it.
#[must_use]
pub fn from_args(args: &[OsString]) -> When {
    let mut args = args.iter().filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        let value = match arg {
            "--" => break,
            "--color" => args.next(),
            other => other.strip_prefix("--color="),
        };
        match value {
            Some("always") => return When::Always,
            Some("never") => return When::Never,
            _ => {}
        }
    }
    When::Auto
}

macro_rules! styles {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(text: &str) -> String {
            format!(concat!("\u{1b}[", $code, "m{}\u{1b}[0m"), text)
        })*
    };
}

styles! {
    /// The word before what went wrong.
    error = "1;31";
    /// The word before what to do next.
    help = "1;36";
    /// A heading.
    bold = "1";
    /// What matters less.
    dim = "2";
    /// Something good.
    good = "32";
    /// Something refused.
    bad = "31";
    /// Something uncertain.
    unsure = "33";
}

/// The name of an outcome in its colour.
#[must_use]
pub fn outcome(name: &str) -> String {
    match name {
        "allow" => good(name),
        "undetermined" | "limited" => unsure(name),
        _ => bad(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_before_parsing() {
        for (args, when) in [
            (&["sidegate", "can"][..], When::Auto),
            (&["sidegate", "--color", "never", "can"], When::Never),
            (&["sidegate", "can", "--color=always"], When::Always),
            (&["sidegate", "can", "--", "--color=always"], When::Auto),
        ] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(from_args(&args), when, "{args:?}");
        }
    }
}
