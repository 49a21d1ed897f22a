//! How long a request may take: as long as its caller waits, and never longer than we allow.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
    time::Duration,
};

use auth_core::{
    decision::{Answer, CredentialState, Reason, ReasonCode},
    decision_point::Answering,
};
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use http::{HeaderMap, HeaderName};
use tokio::time::{Instant, error::Elapsed, timeout_at};
use tonic::{Status, metadata::MetadataMap};

use super::status;

/// How long a request may take when its caller does not say, or says more.
pub const DEFAULT_MAX: Duration = Duration::from_secs(10);

/// How many calls of a batch are decided at once: enough for their look-ups to overlap, and few
/// enough that a batch leaves room for others.
const BATCH_WIDTH: usize = 16;

/// Where a caller says how long it waits; made once, since a name is checked whenever it is made.
static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The end of a request.
#[derive(Clone, Debug)]
pub struct Deadline {
    patience: Duration,
    /// Set when something is first waited for: most requests wait for nothing, and need no clock.
    at: OnceLock<Instant>,
    /// Whether the caller's own patience ends then, and not ours.
    is_callers: bool,
}

impl Deadline {
    /// The end of a request with this metadata (`grpc-timeout`), which is at most `max` from when it
    /// first waits for something.
    #[must_use]
    pub fn of(metadata: &MetadataMap, max: Duration) -> Self {
        let headers: &HeaderMap = metadata.as_ref();
        let asked = headers
            .get(&TIMEOUT)
            .and_then(|value| parse(value.as_bytes()))
            .filter(|asked| *asked <= max);
        Self {
            patience: asked.unwrap_or(max),
            at: OnceLock::new(),
            is_callers: asked.is_some(),
        }
    }

    /// The end of a request whose caller must have an answer before its own patience ends, since it
    /// makes of silence what it likes: a tenth of its time is left for the way back.
    #[must_use]
    pub fn ahead(metadata: &MetadataMap, max: Duration) -> Self {
        let headers: &HeaderMap = metadata.as_ref();
        let asked = headers.get(&TIMEOUT);
        let asked = asked.and_then(|value| parse(value.as_bytes()));
        let whole = asked.map_or(max, |asked| asked.min(max));
        let patience = whole - whole / 10;
        Self {
            patience,
            // It runs from now on: what the caller waits for includes what comes before a wait.
            at: (Instant::now() + patience).into(),
            is_callers: false,
        }
    }

    /// Waits for an answer. When ours is the patience that ends, the answer is undetermined.
    ///
    /// # Errors
    ///
    /// DEADLINE_EXCEEDED when the caller's own deadline passes.
    pub async fn answer(&self, answer: impl Future<Output = Answer>) -> Result<Answer, Status> {
        match self.in_time(answer).await {
            Ok(answer) => Ok(answer),
            Err(_) if self.is_callers => Err(status::deadline_exceeded()),
            Err(_) => Ok(too_late()),
        }
    }

    /// Waits for the answers of a batch, in order. Where ours is the patience that ends, what is
    /// still open then is undetermined, and all of it when it had not begun.
    ///
    /// # Errors
    ///
    /// DEADLINE_EXCEEDED when the caller's own deadline passes.
    pub async fn answers<'a>(
        &self,
        batch: impl Future<Output = Vec<Answering<'a>>>,
        count: usize,
    ) -> Result<Vec<Answer>, Status> {
        match self.in_time(batch).await {
            Ok(answering) => self.each(answering).try_collect().await,
            Err(_) if self.is_callers => Err(status::deadline_exceeded()),
            Err(_) => Ok((0..count).map(|_| too_late()).collect()),
        }
    }

    /// Boxed, since the compiler does not see that its parts may go to another thread.
    fn each<'a>(&'a self, answering: Vec<Answering<'a>>) -> BoxStream<'a, Result<Answer, Status>> {
        let answers = answering.into_iter().map(|answer| self.answer(answer));
        stream::iter(answers).buffered(BATCH_WIDTH).boxed()
    }

    /// Waits for something that is no decision.
    ///
    /// # Errors
    ///
    /// DEADLINE_EXCEEDED when the deadline passes, whosever it is.
    pub async fn result<T>(&self, result: impl Future<Output = T>) -> Result<T, Status> {
        self.in_time(result)
            .await
            .map_err(|_| status::deadline_exceeded())
    }

    fn at(&self) -> Instant {
        *self.at.get_or_init(|| Instant::now() + self.patience)
    }

    /// Most answers are there at once, and need no timer; one is boxed, so that they take no room
    /// for it along.
    async fn in_time<T>(&self, result: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut result = pin!(result);
        match futures_util::poll!(result.as_mut()) {
            Poll::Ready(result) => Ok(result),
            Poll::Pending => Box::pin(timeout_at(self.at(), result)).await,
        }
    }
}

/// The answer when there is none in time (R4).
pub(crate) fn too_late() -> Answer {
    Answer {
        reason: Reason::new(ReasonCode::DeadlineExceeded),
        operation: None,
        session: None,
        workload: None,
        updates: Vec::new(),
        call: None,
        decision_id: String::new(),
        policy_version: Arc::from(""),
        credential: CredentialState::Undetermined,
        challenges: Vec::new(),
        response_headers: Vec::new(),
    }
}

/// Reads a `grpc-timeout`: one to eight digits and a unit.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("123456789m", None),
            ("m", None),
            ("", None),
            ("1", None),
            ("-1m", None),
            ("1s", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    async fn wait(timeout: Option<&'static str>, max: Duration) -> Result<Answer, Status> {
        let mut metadata = MetadataMap::new();
        if let Some(timeout) = timeout {
            metadata.insert("grpc-timeout", timeout.parse().unwrap());
        }
        let deadline = Deadline::of(&metadata, max);
        deadline.answer(std::future::pending()).await
    }

    #[tokio::test]
    async fn who_must_not_be_left_without_an_answer_has_one_in_time() {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", "200m".parse().unwrap());
        let begun = Instant::now();
        let deadline = Deadline::ahead(&metadata, DEFAULT_MAX);
        assert!(deadline.at() <= begun + Duration::from_millis(190));
        assert!(deadline.at() >= begun + Duration::from_millis(180));
        let short = Deadline::ahead(&metadata, Duration::from_millis(5));
        let answer = short.answer(std::future::pending()).await.unwrap();
        assert_eq!(answer.reason.code, ReasonCode::DeadlineExceeded);
    }

    #[tokio::test]
    async fn who_waits_no_longer_decides_what_is_said() {
        let short = Duration::from_millis(5);
        let ours = wait(None, short).await.unwrap();
        assert_eq!(ours.reason.code, ReasonCode::DeadlineExceeded);
        let longer = wait(Some("1H"), short).await.unwrap();
        assert_eq!(longer.reason.code, ReasonCode::DeadlineExceeded);
        let callers = wait(Some("5m"), DEFAULT_MAX).await.unwrap_err();
        assert_eq!(callers.code(), tonic::Code::DeadlineExceeded);
    }
}
