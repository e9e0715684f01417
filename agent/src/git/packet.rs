//! pkt-lines, the frames of Git's wire protocol (git, Documentation/gitprotocol-common).

/// The most bytes that one data packet carries.
pub(super) const MAX_DATA: usize = 65_516;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// A frame with content; a text line keeps no line feed.
    Data(Vec<u8>),
    /// `0000`.
    Flush,
    /// `0001`, between the sections of protocol v2.
    Delimiter,
    /// `0002`, at the end of an answer of protocol v2.
    End,
}

/// The four digits that open a frame are not a length that a frame can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadLength;

/// Makes packets of bytes that come in pieces.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Takes the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next packet, or none while its bytes have not all come.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, BadLength> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let Some((digits, content)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = length(digits)?;
        let (packet, used) = match length {
            0 => (Packet::Flush, 4),
            1 => (Packet::Delimiter, 4),
            2 => (Packet::End, 4),
            _ => {
                let wanted = length.checked_sub(4).ok_or(BadLength)?;
                let Some(content) = content.get(..wanted) else { return Ok(None) };
                (Packet::Data(content.to_vec()), length)
            }
        };
        self.start += used;
        Ok(Some(packet))
    }
}

/// Appends `text` as one packet that ends with a line feed.
pub(super) fn line(out: &mut Vec<u8>, text: &str) {
    data(out, &[text.as_bytes(), b"\n"]);
}

/// Appends the joined `parts` as one packet. What does not fit into a packet is cut: callers send short lines only.
pub(super) fn data(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let mut content = parts.concat();
    content.truncate(MAX_DATA);
    out.extend_from_slice(format!("{:04x}", content.len() + 4).as_bytes());
    out.extend_from_slice(&content);
}

/// Appends a flush packet.
pub(super) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends a delimiter packet.
pub(super) fn delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

/// The text of a line without its line feed. Bytes that are no UTF-8, as in names of references, become U+FFFD, which no
/// name of ours has.
pub(super) fn text(content: &[u8]) -> String {
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    String::from_utf8_lossy(line).into_owned()
}

fn length(digits: &[u8; 4]) -> Result<usize, BadLength> {
    let mut length = 0;
    for digit in digits {
        let value = char::from(*digit).to_digit(16).ok_or(BadLength)?;
        length = length * 16 + value as usize;
    }
    if length == 3 || length > MAX_DATA + 4 { Err(BadLength) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_as_the_specification_has_them() {
        let mut decoder = Decoder::default();
        decoder.feed(b"0006a\n0000000bfoobar\n00010004");
        let mut packets = Vec::new();
        while let Some(packet) = decoder.next().unwrap() {
            packets.push(packet);
        }
        let data = |text: &[u8]| Packet::Data(text.to_vec());
        assert_eq!(packets, [data(b"a\n"), Packet::Flush, data(b"foobar\n"), Packet::Delimiter, data(b"")]);
        for bad in ["0003", "zzzz", "fff5", "+001", "<htm"] {
            let mut decoder = Decoder::default();
            decoder.feed(bad.as_bytes());
            assert_eq!(decoder.next(), Err(BadLength), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn packets_survive_any_cut(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8), piece in 1usize..9) {
            let mut wire = Vec::new();
            for line in &lines {
                data(&mut wire, &[line]);
            }
            flush(&mut wire);
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in wire.chunks(piece) {
                decoder.feed(piece);
                while let Some(packet) = decoder.next().unwrap() {
                    seen.push(packet);
                }
            }
            let mut expected: Vec<_> = lines.into_iter().map(Packet::Data).collect();
            expected.push(Packet::Flush);
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        }
    }
}
