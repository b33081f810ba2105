//! The message that `rebot --merge` leaves in a test that was run again.
//!
//! ```text
//! *HTML* <span class="merge">…</span><hr>New status: … <hr>Old status: … <hr>Old status: …
//! ```

use crate::profiling::source::report::Retry;
use crate::profiling::source::text;

/// The attempts before the last, in the order of time, and the message of the last one; `None` for
/// any other message.
pub(super) fn read(message: &str) -> Option<(Vec<Retry>, Option<String>)> {
    let merged = message.trim_start().strip_prefix("*HTML*")?;
    if !merged.contains(r#"class="merge""#) {
        return None;
    }
    let mut parts = merged.split("<hr>").skip(1);
    let last = parts.next().and_then(|part| said(part, "New message:"));
    let mut retries: Vec<_> = parts
        .filter(|part| part.contains(r#"class="old-status""#))
        .map(|part| Retry {
            status: ["passed", "failed", "skipped"]
                .into_iter()
                .zip([r#"class="pass""#, r#"class="fail""#, r#"class="skip""#])
                .find(|(_, class)| part.contains(class))
                .map_or("rerun", |(status, _)| status),
            message: said(part, "Old message:"),
            ..Retry::default()
        })
        .collect();
    // The newest of them stands first.
    retries.reverse();
    Some((retries, last))
}

fn said(part: &str, label: &str) -> Option<String> {
    let (_, html) = part.split_once(label)?;
    let html = html.trim_start_matches("</span>").replace("<br>", "\n");
    match text::unescape(&html) {
        Ok((plain, _)) => text::message(&plain),
        Err(_) => text::message(&html),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_in_the_order_of_time() {
        let merged = r#"*HTML* <span class="merge">Test has been re-executed and results merged.</span><hr>
<span class="new-status">New status:</span> <span class="fail">FAIL</span><br><span class="new-message">New message:</span> third &lt;3&gt;<br><hr>
<span class="old-status">Old status:</span> <span class="fail">FAIL</span><br><span class="old-message">Old message:</span> second<br><hr>
<span class="old-status">Old status:</span> <span class="pass">PASS</span><br>"#;
        let (retries, last) = read(merged).unwrap();
        assert_eq!(last.as_deref(), Some("third <3>"));
        let told: Vec<_> = retries
            .iter()
            .map(|retry| (retry.status, retry.message.as_deref()))
            .collect();
        assert_eq!(told, [("passed", None), ("failed", Some("second"))]);
        assert!(read("*HTML* <b>no</b>").is_none());
        assert!(read("plain").is_none());
    }
}
