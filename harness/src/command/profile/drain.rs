//! `crossbridge profile drain`: what the spool holds goes to the store.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crossbridge_core::{Clock, Sleeper};
use crossbridge_std::profiling::LazyStore;
use crossbridge_std::profiling::deliver::Patience;
use crossbridge_std::sleeper::ThreadSleeper;
use serde_json::json;

use super::failure;
use super::progress::Progress;
use super::shipping::Shipping;
use super::text::thousands;
use super::{Place, guard};
use crate::cli::StoreArgs;
use crate::command::print;
use crate::exit::Failure;

pub(crate) fn run(
    args: &StoreArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut place = Place::of(args.store.as_deref(), config)?;
    ship(&mut place, json, output)
}

/// Ships, and prints what became of it.
pub(super) fn ship(place: &mut Place, json: bool, output: &mut dyn Write) -> Result<(), Failure> {
    let path = place.path()?.clone();
    let progress = Progress::new(&[], json);
    let mut guard = guard(&path, &progress)?;
    let target = place.target.clone();
    let mut store = LazyStore::new(|timeout| target.open(timeout));
    let clock = progress.clock();
    let began = clock.now();
    let shipping = loop {
        let shipping = Shipping::run(
            &mut place.spool,
            &mut store,
            &mut guard,
            clock,
            Patience::Policies,
            |_| {},
        );
        // Whoever ships now may take what we were to take, and may be killed on the way.
        let waited = clock.now().saturating_duration_since(began);
        if !shipping.elsewhere || shipping.is_empty() || waited >= OTHERS {
            break shipping;
        }
        ThreadSleeper.sleep(GLANCE);
    };
    progress.finish();
    let page = if json {
        let object = json!({
            "schema": 1,
            "complete": shipping.is_empty() && shipping.damaged.is_empty(),
            "store": { "url": place.target.shown() },
            "spool": shipping.to_json(),
        });
        format!("{object}\n")
    } else {
        let mut page = String::new();
        shipping.render(&mut page);
        if shipping.is_empty() {
            page.push_str("Nothing is left in the spool\n");
        } else if let Some(left) = shipping.left {
            page.push_str(&format!(
                "{} events are left in the spool\n",
                thousands(left.spooled)
            ));
        }
        page
    };
    print(output, &page)?;
    failure::of_shipping(&place.target, &shipping)
}

/// How long another process that ships is waited for.
const OTHERS: Duration = Duration::from_secs(30);
/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(50);
