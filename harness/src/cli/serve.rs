//! The command line of `serve`.

use clap::Args;

use super::StoreArgs;

/// `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where clients connect to; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8765")]
    pub(crate) listen: String,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// The environment variable with the token that clients have to show; without it nobody has to
    #[arg(long, value_name = "NAME")]
    pub(crate) token_env: Option<String>,

    /// Connections at once; one more is answered 503
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
}

pub(super) const EXAMPLE: &str = r#"Example:
  crossbridge serve --store sqlite:events.db
  curl -i -d '{"run_id":"r1","test_id":"a::b","event_type":"test_end","duration_ms":12.5}' \
      127.0.0.1:8765/events
  curl -i -H 'Idempotency-Key: r1-page-7' --data-binary @events.json 127.0.0.1:8765/events/batch
  gzip < events.json | curl -i -H 'Content-Encoding: gzip' --data-binary @- 127.0.0.1:8765/events/batch
  TOKEN=... crossbridge serve --token-env TOKEN    clients: curl -H "Authorization: Bearer $TOKEN" ...

When it listens, one line of JSON on stdout says where:
  {"schema":1,"listen":"127.0.0.1:8765","store":"sqlite:/srv/events.db","spool":"/srv/.crossbridge/spool/..."}

Requests:
  POST /events        an object with the fields of an event; run_id, test_id and event_type are required
  POST /events/batch  an array of them, or {"events": [...]}; all of it is taken, or nothing
  GET /health         {"status":"ok","store":{"health","since_seconds","reason"}}
  GET /status         what `profile status --format json` prints

Answers:
  202  on disk, and kept through SIGKILL and a loss of power
  400  a bad payload; the place of its first fault is in the body, and nothing was taken
  401  not the token of --token-env; GET /health needs none
  413  too large at any time, or once it is unpacked
  429, 503  nothing was taken; Retry-After says when to try again
Who repeats a request sends event_ids, or the Idempotency-Key of the first time: it is stored once then.

No TLS: listen on a loopback address, or behind something that has it. Who can listen in sees the token.

Exit codes:
  0  stopped by SIGINT or SIGTERM; what was acknowledged is in the store or in the spool
  2  the address or the URL means nothing, or there is no token in the variable
  4  the address cannot be listened on, or the spool cannot be used"#;
