//! P-1: `Authorize` over gRPC beside stock tonic.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use prost::Message as _;
use proto::v1;
use tonic::transport::Channel;

use crate::{
    ROUNDS,
    load::{self, Load},
    process::Server,
    scene, stages,
};

const STREAMS: usize = 64;
const WARM_UP: usize = 4_000;
const REQUESTS: usize = 20_000;

/// One server of the comparison, and what its rounds gave.
struct Contender {
    name: &'static str,
    server: Server,
    load: Rc<Load>,
    cpu: Vec<f64>,
    per_second: Vec<f64>,
}

impl Contender {
    async fn new(name: &'static str, server: Server, request: &v1::AuthorizeRequest) -> Self {
        let load = Rc::new(Load::connect(&server.address, request).await);
        Self {
            name,
            server,
            load,
            cpu: Vec::new(),
            per_second: Vec::new(),
        }
    }

    async fn round(&mut self) {
        self.load.run(STREAMS, WARM_UP).await;
        let (cpu, began) = (self.server.cpu(), Instant::now());
        self.load.run(STREAMS, REQUESTS).await;
        let took = began.elapsed();
        let spent = self.server.cpu().saturating_sub(cpu);
        self.cpu.push(micros(spent) / REQUESTS as f64);
        self.per_second.push(REQUESTS as f64 / took.as_secs_f64());
    }
}

/// In microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The median.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Starts the floor with this answer.
fn floor(folder: &Path, name: &str, answer: &v1::AuthorizeResponse) -> Server {
    let file = folder.join(name);
    std::fs::write(&file, answer.encode_to_vec()).unwrap();
    let program = std::env::current_exe().unwrap();
    Server::start(&program, &["floor", file.to_str().unwrap()])
}

/// Measures and prints.
pub(crate) async fn run(sidegated: PathBuf) {
    load::local(measure(&sidegated)).await;
}

async fn measure(sidegated: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let policy = scene::write(folder.path());
    let server = Server::start(sidegated, &["--config", policy.to_str().unwrap()]);
    let channel = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let channel = channel.connect().await.unwrap();
    let idle = ["VmRSS", "RssAnon", "RssFile"].map(|part| server.resident(part));
    let request = scene::request(&scene::sign_in(channel.clone(), "admin").await);
    let refused = scene::request(&scene::sign_in(channel, "user").await);

    let sidegate = Contender::new("sidegated, allow", server, &request).await;
    let answer = v1::AuthorizeResponse::decode(sidegate.load.ask().await).unwrap();
    assert_eq!(answer.decision(), v1::Decision::Allow, "{answer:?}");
    let empty = v1::AuthorizeResponse {
        decision: v1::Decision::Allow.into(),
        ..v1::AuthorizeResponse::default()
    };
    let same = floor(folder.path(), "same", &answer);
    let small = floor(folder.path(), "empty", &empty);
    let mut contenders = [
        Contender::new("stock tonic, the same answer", same, &request).await,
        Contender::new("stock tonic, an empty answer", small, &request).await,
        sidegate,
    ];
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            contender.round().await;
        }
    }
    println!(
        "P-1  Authorize over gRPC: 1 connection, {STREAMS} streams, request of {} B, answer of {} B",
        request.encoded_len(),
        answer.encoded_len(),
    );
    println!("     one core for the server, median of {ROUNDS} rounds of {REQUESTS}, in turns\n");
    table(&contenders);
    let [all, own, file] = idle;
    println!(
        "\n     sidegated holds {all} KiB after its start (P-11 wants 12288): {own} of its own, \
         {file} of program text"
    );
    stages::run(folder.path(), &request, &refused).await;
}

fn table(contenders: &[Contender]) {
    let head = [
        "server",
        "CPU/request",
        "requests/s",
        "ratio to the first",
        "to the second",
    ];
    let [a, b, c, d, e] = head;
    println!("     {a:<30} {b:>12} {c:>12} {d:>20} {e:>14}");
    for contender in contenders {
        let ratio = |floor: &Contender| {
            let pairs = contender.cpu.iter().zip(&floor.cpu);
            median(pairs.map(|(ours, floor)| ours / floor))
        };
        println!(
            "     {:<30} {:>9.2} us {:>12.0} {:>20.2} {:>14.2}",
            contender.name,
            median(contender.cpu.iter().copied()),
            median(contender.per_second.iter().copied()),
            ratio(&contenders[0]),
            ratio(&contenders[1]),
        );
    }
}
