//! HMAC with SHA-256 (RFC 2104).

use falconer_manifests::digest::{Digest, Hasher};

/// The block size of SHA-256 in bytes.
const BLOCK: usize = 64;

/// The HMAC of `message` with `key`.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Digest {
    let hashed = bytes(&Digest::of(key));
    let key = if key.len() > BLOCK { hashed.as_slice() } else { key };
    let padded = |pad: u8| -> Vec<u8> { (0..BLOCK).map(|at| key.get(at).copied().unwrap_or_default() ^ pad).collect() };
    let inner = Hasher::new().chain(&padded(0x36)).chain(message).finish();
    Hasher::new().chain(&padded(0x5c)).chain(&bytes(&inner)).finish()
}

fn bytes(digest: &Digest) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
    let pairs = digest.hex().as_bytes().chunks_exact(2);
    pairs.map(|pair| pair.iter().fold(0, |byte, &half| byte << 4 | digit(half))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, sections 4.2, 4.3 and 4.7.
    #[test]
    fn as_the_rfc_has_it() {
        for (key, message, expected) in [
            (vec![0x0b; 20], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hmac_sha256(&key, message.as_bytes()).hex(), expected);
        }
    }
}
