//! What is refused before the parser sees it: it recurses, and may not be trusted with anything
//! that is deep or long.

/// The longest expression, in bytes.
pub(super) const MAX_BYTES: usize = 4096;
/// How deep brackets, and signs in front of each other, may nest.
pub(super) const MAX_DEPTH: usize = 32;
/// The most operators and brackets.
const MAX_TOKENS: usize = 512;

/// What is wrong, and the byte where.
pub(super) struct Excess {
    pub(super) message: String,
    pub(super) at: usize,
}

/// Scans an expression without understanding it: texts are skipped, brackets counted.
pub(super) fn check(source: &str) -> Result<(), Excess> {
    if source.len() > MAX_BYTES {
        let message = format!("the expression is longer than {MAX_BYTES} bytes");
        return Err(Excess { message, at: 0 });
    }
    let mut scan = Scan {
        depth: 0,
        signs: 0,
        tokens: 0,
    };
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in source.char_indices() {
        if c.is_control() && c != '\n' && c != '\t' && c != '\r' {
            return Err(Excess {
                message: "the expression holds a control character".into(),
                at,
            });
        }
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                scan.signs = 0;
            }
            None => scan.step(c, at)?,
        }
    }
    match quote {
        Some(_) => Err(Excess {
            message: "a text is not closed by a quote".into(),
            at: source.rfind(['"', '\'']).unwrap_or(0),
        }),
        None => Ok(()),
    }
}

struct Scan {
    depth: usize,
    signs: usize,
    tokens: usize,
}

impl Scan {
    fn step(&mut self, c: char, at: usize) -> Result<(), Excess> {
        match c {
            '(' | '[' | '{' => {
                self.depth += 1;
                self.signs = 0;
            }
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            '!' | '-' => self.signs += 1,
            _ if c.is_whitespace() => return Ok(()),
            _ => self.signs = 0,
        }
        if !c.is_alphanumeric() && c != '_' && c != '.' {
            self.tokens += 1;
        }
        if self.depth > MAX_DEPTH || self.signs > MAX_DEPTH {
            let message = format!("the expression nests deeper than {MAX_DEPTH} levels");
            return Err(Excess { message, at });
        }
        if self.tokens > MAX_TOKENS {
            let message =
                format!("the expression has more than {MAX_TOKENS} operators and brackets");
            return Err(Excess { message, at });
        }
        Ok(())
    }
}
