//! The command line of `faults`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// `faults`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).multiple(true).args(["listen", "api"])))]
pub(crate) struct FaultsArgs {
    /// Where clients connect to; port 0 is any free one
    #[arg(long, value_name = "ADDR", requires = "upstream")]
    pub(crate) listen: Option<String>,

    /// Where the server is
    #[arg(long, value_name = "ADDR", requires = "listen")]
    pub(crate) upstream: Option<String>,

    /// Where toxiproxy's HTTP API is served; not at all where nothing is said
    #[arg(long, value_name = "ADDR")]
    pub(crate) api: Option<String>,

    /// The name of the proxy in the API
    #[arg(long, value_name = "NAME", default_value = "proxy")]
    pub(crate) name: String,

    /// A toxic from the start, in the API's words; may be repeated
    #[arg(long, value_name = "JSON", requires = "listen")]
    pub(crate) toxic: Vec<String>,

    /// The faults of a scenario, by the clock from the start
    #[arg(long, value_name = "SCENARIO", requires = "listen")]
    pub(crate) script: Option<PathBuf>,

    /// The dependency of the script that the proxy stands before; else the only one with faults
    #[arg(long, value_name = "DEPENDENCY", requires = "script")]
    pub(crate) on: Option<String>,

    /// Where every draw comes from [default: the script's, else 1]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

pub(super) const EXAMPLE: &str = r#"Example:
  crossbridge faults --listen 127.0.0.1:15432 --upstream 127.0.0.1:5432 --script fixtures/scenarios/postgres-blip.yml
  crossbridge faults --listen 127.0.0.1:18080 --upstream 127.0.0.1:8080 \
      --toxic '{"type":"http_error","first":2,"attributes":{"status":503,"retry_after":1}}'
  crossbridge faults --api 127.0.0.1:8474
  curl -d '{"name":"redis","listen":"127.0.0.1:16379","upstream":"127.0.0.1:6379"}' 127.0.0.1:8474/proxies
  curl -d '{"type":"latency","attributes":{"latency":100,"jitter":20}}' 127.0.0.1:8474/proxies/redis/toxics

Toxics, with their attributes:
  latency      latency, jitter (ms)             refuse
  bandwidth    rate (kB/s)                      hang
  slow_close   delay (ms)                       slow        factor, add (ms)
  timeout      timeout (ms)                     cut         bytes
  reset_peer   timeout (ms)                     http_error  status, retry_after (s), body
  slicer       average_size, size_variation,    throttle    rate, per (us), burst, retry_after (s)
               delay (us)                       sql_error   sqlstate, message, at (startup or query)
  limit_data   bytes
Each also takes name, stream (upstream or downstream), toxicity (0 to 1), first and every.

When everything listens, one line of JSON on stdout says where:
  {"schema":1,"listen":"127.0.0.1:15432","upstream":"127.0.0.1:5432","api":null,"seed":7}

Exit codes:
  0  stopped by a signal
  2  an address or a toxic means nothing, or a script needs to know its dependency (--on)
  3  the script is invalid, or a fault of it cannot be played on the wire
  4  an address cannot be listened on"#;
