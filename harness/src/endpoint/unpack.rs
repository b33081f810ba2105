//! Bodies that clients have packed.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::answer::Answer;
use super::server::Hold;

/// Whether a body in this encoding is unpacked here.
pub(super) fn is_known(encoding: &str) -> bool {
    // `x-gzip` is its old name (RFC 9110, section 8.4.1.3).
    ["gzip", "x-gzip"]
        .iter()
        .any(|known| encoding.eq_ignore_ascii_case(known))
}

/// What a body in gzip is, of at most `most` bytes, which the hold grows by: a small body can be a
/// large one.
///
/// # Errors
/// The answer for the client.
pub(super) fn gzip(packed: &[u8], most: u64, hold: &mut Hold<'_>) -> Result<Vec<u8>, Answer> {
    let mut decoder = MultiGzDecoder::new(packed);
    let mut body = Vec::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = decoder.read(&mut buffer).map_err(|error| {
            let text = format!(
                "expected a body in gzip: {error}, after {} bytes of it unpacked",
                body.len()
            );
            Answer::error(400, &text)
        })?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(body);
        }
        if u64::try_from(body.len() + bytes.len()).unwrap_or(u64::MAX) > most {
            let text = format!("expected a body of at most {most} bytes once it is unpacked");
            return Err(Answer::error(413, &text));
        }
        if !hold.grow(bytes.len()) {
            return Err(Answer::error(503, "too many bytes at once").retry_after(1));
        }
        body.extend_from_slice(bytes);
    }
}

/// Bytes unpacked at a time.
const CHUNK: usize = 32 << 10;
