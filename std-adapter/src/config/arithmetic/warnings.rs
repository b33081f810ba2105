//! Numbers that cannot work together.

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::retry::Concurrency;

use super::super::call_path::CallPath;
use super::super::scalar::Seconds;

impl CallPath {
    /// What cannot work, or not as it seems; in sentences without an end.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        self.about_time(&mut warnings);
        self.about_delays(&mut warnings);
        self.about_the_budget(&mut warnings);
        if let (Some(name), BreakerMode::Auto) = (&self.uses.breaker, self.guard.breaker.mode) {
            self.about_the_breaker(name, &mut warnings);
        }
        if let (Some(name), BreakerMode::ForcedOpen) = (&self.uses.breaker, self.guard.breaker.mode) {
            warnings.push(format!(
                "the breaker `{name}` is forced open: every call is refused"
            ));
        }
        warnings
    }

    fn about_time(&self, warnings: &mut Vec<String>) {
        let (guard, attempts) = (&self.guard, self.guard.retry.attempts);
        if let (Some(deadline), Some(timeout)) = (guard.deadline, guard.attempt_timeout) {
            let (whole, each) = (Seconds(deadline), Seconds(timeout));
            if deadline < timeout {
                warnings.push(format!(
                    "the deadline of {whole} is over before an attempt of {each} is"
                ));
            } else if attempts > 1 && deadline < timeout.saturating_mul(attempts) {
                let room = deadline.as_nanos() / timeout.as_nanos().max(1);
                warnings.push(format!(
                    "the deadline of {whole} has room for {room} of {attempts} attempts of {each}"
                ));
            }
        }
        if guard.deadline.is_none() && self.waits_for_permits() {
            warnings.push("waits for the rate limit without a deadline".to_owned());
        }
        if let (Some(name), None, None) = (&self.uses.bulkhead, guard.deadline, guard.attempt_timeout) {
            warnings.push(format!(
                "no attempt ever times out: a lost answer holds its place in the bulkhead `{name}` for good"
            ));
        }
    }

    /// Delays at their longest. What they leave no room for is not made.
    fn about_delays(&self, warnings: &mut Vec<String>) {
        let (guard, worst) = (&self.guard, self.worst_case());
        let waits = Seconds(worst.waits);
        if let Some(deadline) = guard.deadline
            && deadline <= worst.waits
        {
            let whole = Seconds(deadline);
            warnings.push(format!(
                "the delays alone can take {waits}, and the deadline is {whole}"
            ));
        }
        if let Some(end) = guard.retry.give_up_after
            && end < worst.waits
        {
            let end = Seconds(end);
            warnings.push(format!(
                "the delays alone can take {waits}, and it gives up after {end}"
            ));
        }
    }

    fn about_the_budget(&self, warnings: &mut Vec<String>) {
        let (guard, Some(name)) = (&self.guard, &self.uses.budget) else {
            return;
        };
        if guard.retry.attempts <= 1 {
            warnings.push(format!(
                "the budget `{name}` is never asked: the path makes no retries"
            ));
            return;
        }
        let budget = &guard.budget;
        let earns = [
            budget.deposit_per_call,
            budget.deposit_on_first_success,
            budget.deposit_on_retry_success,
            budget.deposit_per_second,
        ];
        if budget.retry_cost > 0 && earns.into_iter().all(|deposit| deposit == 0) {
            let once = budget.capacity / budget.retry_cost;
            warnings.push(format!(
                "the budget `{name}` pays {once} retries, and never another: it earns nothing"
            ));
        }
        if let Some(Concurrency { share, min: 0 }) = budget.concurrency
            && share.get() > 0
        {
            let calls = 1_000_u32.div_ceil(u32::from(share.get()));
            let most = guard.bulkhead.limit;
            if self.uses.bulkhead.is_some() && most < calls {
                warnings.push(format!(
                    "the budget `{name}` never pays a retry: that takes {calls} calls at once, and the bulkhead allows {most}"
                ));
            } else if calls > 1 {
                warnings.push(format!(
                    "the budget `{name}` pays no retry while fewer than {calls} calls are under way"
                ));
            }
        }
    }

    fn about_the_breaker(&self, name: &str, warnings: &mut Vec<String>) {
        let (guard, breaker) = (&self.guard, &self.guard.breaker);
        let no_rate = breaker.failure_rate.is_none() && breaker.slow_rate.is_none();
        if no_rate && breaker.consecutive_failures.is_none() && breaker.hanging_calls.is_none() {
            warnings.push(format!(
                "the breaker `{name}` can never open: no rule of it is on"
            ));
        }
        if let (WindowKind::Time(window), false, false) =
            (breaker.window, no_rate, guard.quota.is_unlimited())
        {
            let interval = guard.quota.emission_interval().as_nanos().max(1);
            let most = u128::from(guard.quota.capacity()) + window.as_nanos() / interval;
            let least = breaker.min_calls;
            if most < u128::from(least) {
                let window = Seconds(window);
                warnings.push(format!(
                    "no rate of the breaker `{name}` ever counts: the rate limit allows {most} calls in {window}, and rates begin at {least}"
                ));
            }
        }
        let slow = Seconds(breaker.slow_call);
        if let (Some(timeout), true) = (guard.attempt_timeout, breaker.slow_rate.is_some())
            && timeout <= breaker.slow_call
        {
            let each = Seconds(timeout);
            warnings.push(format!(
                "no attempt of at most {each} is ever slow: slow is {slow}"
            ));
        }
        if let Some(hanging) = breaker.hanging_calls {
            let most = guard.bulkhead.limit;
            if let (Some(bulkhead), true) = (&self.uses.bulkhead, most < hanging) {
                warnings.push(format!(
                    "the breaker `{name}` opens when {hanging} calls hang, and the bulkhead `{bulkhead}` allows {most} at once"
                ));
            }
            if let Some(timeout) = guard.attempt_timeout
                && timeout <= breaker.slow_call
            {
                let each = Seconds(timeout);
                warnings.push(format!(
                    "no attempt of at most {each} is ever seen hanging: that takes {slow}"
                ));
            }
        }
        if breaker.probe_timeout > breaker.half_open_timeout {
            let (probe, whole) = (Seconds(breaker.probe_timeout), Seconds(breaker.half_open_timeout));
            warnings.push(format!(
                "a probe of the breaker `{name}` may take {probe}, and half open ends after {whole}"
            ));
        }
    }
}
