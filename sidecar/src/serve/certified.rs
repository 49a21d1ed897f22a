//! How long a connection lasts whose client is known by its certificate: a handshake says nothing of
//! certificates that expire, or of authorities that are dropped, later.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a handshake is good, and what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenure {
    /// After this time the client has to present its certificate anew.
    age: Duration,
    /// How long requests that are open then may take to end.
    grace: Duration,
}

/// The tenure of each connection.
pub(super) const TENURE: Tenure = Tenure {
    age: Duration::from_secs(60 * 60),
    grace: Duration::from_secs(30),
};

impl Tenure {
    /// Cancels `over` once the handshake is good no more, because it is old or what it went by was
    /// superseded, and comes to an end when the connection is to be cut.
    pub(super) async fn pass(self, superseded: &CancellationToken, over: &CancellationToken) {
        tokio::select! {
            () = superseded.cancelled() => {}
            () = tokio::time::sleep(self.age) => {}
        }
        over.cancel();
        tokio::time::sleep(self.grace).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60 * 60);
    const SHORT: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn a_tenure_ends_by_age_or_when_superseded() {
        for (age, is_superseded, is_over) in [
            (SHORT, false, true),
            (LONG, true, true),
            (LONG, false, false),
        ] {
            let tenure = Tenure { age, grace: LONG };
            let (superseded, over) = (CancellationToken::new(), CancellationToken::new());
            if is_superseded {
                superseded.cancel();
            }
            let passed = tenure.pass(&superseded, &over);
            let passed = tokio::time::timeout(5 * SHORT, passed).await;
            assert!(passed.is_err(), "open requests have their time");
            assert_eq!(over.is_cancelled(), is_over, "{age:?} {is_superseded}");
        }
    }

    #[tokio::test]
    async fn what_goes_on_and_on_is_cut() {
        let tenure = Tenure {
            age: SHORT,
            grace: SHORT,
        };
        let (superseded, over) = (CancellationToken::new(), CancellationToken::new());
        let passed = tenure.pass(&superseded, &over);
        tokio::time::timeout(LONG, passed).await.unwrap();
        assert!(over.is_cancelled());
    }
}
