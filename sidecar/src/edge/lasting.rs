//! What stays open on behalf of a session, and ends with it (R17): tunnels, and answers that are
//! streamed.
//!
//! While it is open, the decision point is asked every few seconds whether the session still lives.
//! Where that cannot be told for a while, it ends as well: nobody would know of a revocation.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use auth_core::{
    caller::Caller,
    decision_point::{DecisionPoint, SessionError},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How often is asked, and for how long nobody may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The time between two questions, and how long an answer may take.
    pub interval: Duration,
    /// For how long the question may go unanswered.
    pub grace: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            grace: Duration::from_secs(30),
        }
    }
}

/// Why something that was open has been ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The session lives no more.
    #[error("its session has ended")]
    Session,
    /// Nobody could tell for too long.
    #[error("whether its session still lives could not be told for too long")]
    Unknown,
}

/// Completes when something that is open must end.
pub type Watch = BoxFuture<'static, Ended>;

/// A call that may last, and what is asked about it.
pub struct Lasted<D> {
    /// Who is asked.
    pub point: Arc<D>,
    /// On whose behalf.
    pub caller: Arc<Caller>,
    /// The handle of the call.
    pub call: Bytes,
    /// How often.
    pub rhythm: Rhythm,
    /// The decision that allowed it, for the log.
    pub decision_id: String,
}

// By hand: the handle is secret.
impl<D> fmt::Debug for Lasted<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasted")
            .field("caller", &self.caller.name)
            .field("rhythm", &self.rhythm)
            .field("decision_id", &self.decision_id)
            .finish_non_exhaustive()
    }
}

impl<D: DecisionPoint> Lasted<D> {
    /// Begins to ask. Nothing is asked for the first interval.
    pub fn watch(self) -> Watch {
        let interval = self.rhythm.interval;
        self.watching(interval, Duration::ZERO, true)
    }

    /// Begins to ask at once, on behalf of what was allowed this long ago.
    pub fn watch_at_once(self, since: Duration) -> Watch {
        self.watching(Duration::ZERO, since, true)
    }

    /// The same of a request that is still being sent. What proved its session, as a token of five
    /// minutes, was looked at when it began, and may run out meanwhile.
    pub fn watch_request(self, since: Duration) -> Watch {
        self.watching(Duration::ZERO, since, false)
    }

    fn watching(self, first: Duration, since: Duration, may_run_out: bool) -> Watch {
        Box::pin(async move {
            let decision_id = self.decision_id.clone();
            let why = match self.told(first, since).await {
                Told::RanOut if !may_run_out => std::future::pending().await,
                Told::Gone | Told::RanOut => Ended::Session,
                Told::Nothing(cause) => {
                    tracing::warn!(
                        decision_id,
                        cause,
                        "nobody can tell whether a session lives"
                    );
                    Ended::Unknown
                }
            };
            tracing::info!(decision_id, %why, "what was open was ended");
            why
        })
    }

    /// Asks, after `first`, until there is no more to ask. It was last told `since` ago.
    async fn told(mut self, first: Duration, since: Duration) -> Told {
        let Rhythm { interval, grace } = self.rhythm;
        let now = Instant::now();
        let mut told = now.checked_sub(since).unwrap_or(now);
        sleep(first).await;
        loop {
            let asked = self.point.continue_call(&self.caller, &self.call);
            match timeout(interval, asked).await {
                Ok(Ok(next)) => (self.call, told) = (next, Instant::now()),
                Ok(Err(error @ (SessionError::Store(_) | SessionError::Random(_))))
                    if told.elapsed() >= grace =>
                {
                    return Told::Nothing(error.to_string());
                }
                Err(_) if told.elapsed() >= grace => {
                    let cause = "the decision point does not answer in time";
                    return Told::Nothing(cause.to_owned());
                }
                Ok(Err(SessionError::Store(_) | SessionError::Random(_))) | Err(_) => {}
                Ok(Err(SessionError::CallInvalid)) => return Told::RanOut,
                Ok(Err(_)) => return Told::Gone,
            }
            sleep(interval).await;
        }
    }
}

/// What came of asking.
enum Told {
    /// The session has ended.
    Gone,
    /// What proves it has run out.
    RanOut,
    /// Nobody could tell for too long, and why.
    Nothing(String),
}

/// How many frames of a body pass before it counts as a stream. Most have one or two.
const SHORT: u8 = 8;

/// A body that breaks off when its watch says so. One that is there at once is not watched.
pub struct Lasting<B, S> {
    body: B,
    frames: u8,
    state: State<S>,
}

enum State<S> {
    /// Not known to last, or ended.
    Unwatched(Option<S>),
    /// In a task of its own: a client that reads nothing for a while has the body polled by nobody,
    /// and the handle must be renewed meanwhile.
    Watched(AbortOnDropHandle<Ended>),
}

impl<B, S> fmt::Debug for Lasting<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasting")
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl<B, S: FnOnce() -> Watch> Lasting<B, S> {
    /// This body, until the watch that `start` makes completes; `None` watches nothing.
    pub const fn new(body: B, start: Option<S>) -> Self {
        Self {
            body,
            frames: 0,
            state: State::Unwatched(start),
        }
    }

    /// Whether it must end now.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let State::Watched(watch) = &mut self.state else {
            return Poll::Pending;
        };
        let ended = ready!(Pin::new(watch).poll(cx));
        self.state = State::Unwatched(None);
        // Who watched is gone only where the process is about to be.
        Poll::Ready(ended.unwrap_or(Ended::Unknown))
    }

    /// Begins to watch, if it is to be watched and is not yet.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let State::Unwatched(start) = &mut self.state else {
            return Poll::Pending;
        };
        let Some(start) = start.take() else {
            return Poll::Pending;
        };
        self.state = State::Watched(AbortOnDropHandle::new(tokio::spawn(start())));
        self.poll_ended(cx)
    }
}

/// Why a streamed answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken<E> {
    /// It was the app.
    #[error(transparent)]
    Body(E),
    /// It was us.
    #[error("the answer was broken off: {0}")]
    Ended(Ended),
}

impl<B, S> Body for Lasting<B, S>
where
    B: Body + Unpin,
    S: FnOnce() -> Watch + Unpin,
{
    type Data = B::Data;
    type Error = Broken<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(why) = this.poll_ended(cx) {
            return Poll::Ready(Some(Err(Broken::Ended(why))));
        }
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let lasts = match &polled {
            Poll::Pending => true,
            Poll::Ready(Some(Ok(_))) => {
                this.frames = this.frames.saturating_add(1);
                this.frames > SHORT
            }
            Poll::Ready(_) => false,
        };
        if lasts && let Poll::Ready(why) = this.watch(cx) {
            return Poll::Ready(Some(Err(Broken::Ended(why))));
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Broken::Body)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt as _, StreamExt as _, future, stream};
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use tokio::sync::oneshot;

    use super::*;

    fn never_started() -> Watch {
        panic!("nothing is asked for a short answer");
    }

    #[tokio::test]
    async fn an_answer_that_is_there_at_once_is_not_watched() {
        let body = Lasting::new(Full::new(Bytes::from("whole")), Some(never_started));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
    }

    #[tokio::test]
    async fn a_stream_breaks_off_when_its_session_has_ended() {
        let (end, ended) = oneshot::channel();
        let first = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("first")))]);
        let body = StreamBody::new(first.chain(stream::pending()));
        let watch = move || ended.map(|_| Ended::Session).boxed();
        let mut body = Lasting::new(body, Some(watch));
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "first");
        assert!(body.frame().now_or_never().is_none(), "it waits for more");
        end.send(()).unwrap();
        let broken = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(broken, Broken::Ended(Ended::Session)));
    }

    /// As a download that somebody pauses: the handle is renewed meanwhile.
    #[tokio::test]
    async fn a_stream_that_nobody_reads_is_watched() {
        let (asked, was_asked) = oneshot::channel();
        let watch = move || {
            let watch = async move {
                tokio::task::yield_now().await;
                asked.send(()).unwrap();
                future::pending().await
            };
            watch.boxed()
        };
        let silent = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let mut body = Lasting::new(StreamBody::new(silent), Some(watch));
        assert!(body.frame().now_or_never().is_none(), "it waits for more");
        was_asked.await.unwrap();
    }

    /// A watch that outlives its body would ask for ever.
    #[tokio::test]
    async fn nobody_watches_a_body_that_is_gone() {
        let (kept, gone) = oneshot::channel::<()>();
        let watch = move || {
            let watch = async move {
                let _kept = kept;
                future::pending().await
            };
            watch.boxed()
        };
        let silent = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let mut body = Lasting::new(StreamBody::new(silent), Some(watch));
        assert!(body.frame().now_or_never().is_none(), "it waits for more");
        drop(body);
        assert!(gone.await.is_err());
    }

    /// As a download: there is always more to send.
    #[tokio::test]
    async fn a_stream_that_never_pauses_breaks_off_as_well() {
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::from("x"))));
        let watch = || future::ready(Ended::Unknown).boxed();
        let mut body = Lasting::new(StreamBody::new(endless), Some(watch));
        for _ in 0..=SHORT {
            body.frame().await.unwrap().unwrap();
        }
        tokio::task::yield_now().await;
        assert!(body.frame().await.unwrap().is_err());
    }
}
