//! Lines into packets.

/// Puts lines together into packets of at most `bytes_max` bytes; a longer line goes alone.
pub(super) fn packets(lines: &[String], bytes_max: usize) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for line in lines {
        match packets.last_mut() {
            Some(last) if last.len() + line.len() <= bytes_max => last.push_str(line),
            _ => packets.push(line.clone()),
        }
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &[&str]) {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(packets(&lines, 6), expected, "{lines:?}");
    }

    #[test]
    fn whole_lines_fill_a_packet() {
        check(&[], &[]);
        check(&["ab\n", "cd\n", "e\n"], &["ab\ncd\n", "e\n"]);
        check(&["abc\n", "de\n"], &["abc\n", "de\n"]);
        check(&["a\n", "too long\n", "b\n"], &["a\n", "too long\n", "b\n"]);
    }
}
