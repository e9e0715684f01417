use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { deadline: std::time::Duration::from_secs(1), pack: 1 << 20, object: 1000, objects: 10 };

fn number(mut value: u64, first_bits: u32, kind: u8) -> Vec<u8> {
    let mut first = (value & ((1 << first_bits) - 1)) as u8 | (kind << 4);
    value >>= first_bits;
    let mut bytes = Vec::new();
    loop {
        if value == 0 {
            bytes.push(first);
            return bytes;
        }
        bytes.push(first | 0x80);
        first = (value & 0x7f) as u8;
        value >>= 7;
    }
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn object(kind: u8, size: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = number(size, 4, kind);
    match kind {
        DELTA_BY_OFFSET => bytes.extend([0x81, 0x01]),
        DELTA_BY_NAME => bytes.extend([7; 20]),
        _ => {}
    }
    bytes.extend(deflated(content));
    bytes
}

fn delta(base: u64, result: u64) -> Vec<u8> {
    let mut head = number(base, 7, 0);
    head.extend(number(result, 7, 0));
    head.extend([1, b'x']);
    object(DELTA_BY_OFFSET, head.len() as u64, &head)
}

fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"PACK\0\0\0\x02".to_vec();
    bytes.extend((objects.len() as u32).to_be_bytes());
    bytes.extend(objects.concat());
    bytes.extend([9; 20]);
    bytes
}

fn scan(bytes: &[u8], piece: usize) -> Result<bool, Refusal> {
    let mut scan = Scan::new(LIMITS);
    for piece in bytes.chunks(piece) {
        scan.take(piece)?;
    }
    Ok(scan.is_whole())
}

#[test]
fn large_blobs_pass_and_large_everything_else_does_not() {
    let zeros = vec![0; 100_000];
    assert_eq!(scan(&pack(&[object(BLOB, 100_000, &zeros), object(COMMIT, 3, b"abc")]), 50), Ok(true));
    let too_large = |bytes: &[u8]| matches!(scan(bytes, 50), Err(Refusal::TooLarge { .. }));
    assert!(too_large(&pack(&[object(COMMIT, 100_000, &zeros)])));
    assert!(too_large(&pack(&[object(2, 1001, &zeros[..1001])])));
    assert!(!too_large(&pack(&[object(2, 1000, &zeros[..1000])])));
    assert!(too_large(&pack(&[delta(3, 1 << 30)])));
    assert!(too_large(&pack(&[delta(1 << 30, 3)])));
    assert!(!too_large(&pack(&[delta(3, 4), delta(900, 1000)])));
    let noise: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(too_large(&pack(&[object(BLOB, 5000, &noise)])));
    assert!(too_large(&pack(&vec![object(BLOB, 1, b"x"); 11])));
    let mut long = pack(&[object(BLOB, 1, b"x")]);
    long.resize(2 << 20, 0);
    assert!(too_large(&long));
}

#[test]
fn packs_that_lie_are_broken() {
    for objects in [object(BLOB, 4, b"abc"), object(BLOB, 2, b"abc"), object(5, 3, b"abc"), b"\x33garbage".to_vec()] {
        assert!(matches!(scan(&pack(&[objects]), 7), Err(Refusal::Broken(_))));
    }
    assert!(matches!(scan(b"<html>", 2), Err(Refusal::Broken(_))));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 0..6), piece in 1usize..400) {
        let mut objects: Vec<_> = contents.iter().map(|content| object(BLOB, content.len() as u64, content)).collect();
        objects.push(delta(200, 300));
        objects.push(object(DELTA_BY_NAME, 4, &[1, 1, 1, b'x']));
        prop_assert_eq!(scan(&pack(&objects), piece), Ok(true));
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..60) {
        let mut whole = pack(&[object(BLOB, 3, b"abc"), delta(3, 4)]);
        whole.truncate(at);
        whole.extend(bytes);
        let _ = scan(&whole, 11);
    }
}
