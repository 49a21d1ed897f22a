//! Texts that people read: in lists, logs and on terminals.

/// Whether a character has no place in a name or in words for the record: it ends a line, commands
/// a terminal, or makes what follows read in another order than it stands (SECURITY A-08).
///
/// Letters of every script are welcome, and so are the marks that join them or keep them apart.
///
/// ```
/// use auth_core::text::is_hidden;
///
/// assert!("a\r\nb".contains(is_hidden));
/// assert!("\u{202e}nimda".contains(is_hidden));
/// assert!(!"שלום عليكم".contains(is_hidden));
/// ```
#[must_use]
pub fn is_hidden(character: char) -> bool {
    let reorders = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let ends_a_line = matches!(character, '\u{2028}' | '\u{2029}');
    character.is_control() || reorders || ends_a_line
}
