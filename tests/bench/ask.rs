//! As many requests as asked to a server that somebody else started, for whoever counts its
//! instructions.

use std::{path::Path, rc::Rc};

use tonic::transport::Channel;

use crate::{
    load::{self, Load},
    scene,
};

const STREAMS: usize = 64;

/// Asks the `sidegated` at this address as a reader who is signed in, `count` times, and writes
/// down its answer for a floor that says the same.
pub(crate) async fn sidegate(address: &str, count: usize, answer: &Path) {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let request = scene::request(&scene::sign_in(channel, "admin").await);
    load::local(async {
        let load = Rc::new(Load::connect(address, &request).await);
        std::fs::write(answer, load.ask().await).unwrap();
        load.run(STREAMS, count).await;
    })
    .await;
}

/// Asks the floor at this address `count` times, with a cookie as long as a real one.
pub(crate) async fn floor(address: &str, count: usize) {
    let request = scene::request(&format!("__Host-session={}", "a".repeat(43)));
    load::local(async {
        let load = Rc::new(Load::connect(address, &request).await);
        load.run(STREAMS, count).await;
    })
    .await;
}
