//! Scripts as they are sent: without what only their authors read.

/// A script without the space and the comments that its lines begin with: the bytes, and how many of them count. `N` is at least
/// the length of the source. Where a line begins inside a text over several lines, this would change the text: no script of ours
/// has one.
pub(super) const fn lean<const N: usize>(source: &str) -> ([u8; N], usize) {
    let mut bytes = [0; N];
    let mut room: &mut [u8] = &mut bytes;
    let mut left = source.as_bytes();
    let mut line_begins = true;
    while let [byte, rest @ ..] = left {
        match left {
            [b' ' | b'\n', ..] if line_begins => left = rest,
            [b'/', b'/', ..] if line_begins => left = after(left, *b"\n\n"),
            [b'/', b'*', ..] if line_begins => left = after(left, *b"*/"),
            _ => {
                line_begins = *byte == b'\n';
                left = rest;
                room = match room {
                    [slot, others @ ..] => {
                        *slot = *byte;
                        others
                    }
                    [] => &mut [],
                };
            }
        }
    }
    let count = N.saturating_sub(room.len());
    (bytes, count)
}

/// What follows the first of these two bytes with the second behind it; where both are the same, one of them is enough.
const fn after(mut text: &[u8], [first, second]: [u8; 2]) -> &[u8] {
    while let [byte, rest @ ..] = text {
        text = rest;
        if *byte == first && first == second {
            return text;
        }
        if let ([next, behind @ ..], true) = (rest, *byte == first)
            && *next == second
        {
            return behind;
        }
    }
    text
}

/// The text of what [`lean`] made.
pub(super) const fn text<const N: usize>(made: &'static ([u8; N], usize)) -> &'static str {
    let (bytes, _) = made.0.split_at(made.1);
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // It was UTF-8, and whole characters were left out.
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_authors_read_is_left_out() {
        const SOURCE: &str = "// @ts-check\n/** A. @param {string} b */\nfunction a(b) {\n  // Why.\n  return `${b} // é`; // stays\n\n}\n/**\n * B.\n */\n/** @type {C} */ (c).d = 1;\n";
        const MADE: ([u8; SOURCE.len()], usize) = lean(SOURCE);
        assert_eq!(text(&MADE), "function a(b) {\nreturn `${b} // é`; // stays\n}\n(c).d = 1;\n");
    }

    #[test]
    fn nothing_of_nothing() {
        const MADE: ([u8; 0], usize) = lean("");
        assert_eq!(text(&MADE), "");
    }
}
