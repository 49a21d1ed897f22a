//! P-7 and P-8: a request through Envoy and nginx with and without us, and through our own proxy.

use std::{cell::Cell, path::Path, rc::Rc};

use futures_util::{StreamExt as _, stream};
use harness::real::{envoy, nginx, server};
use tonic::transport::Channel;

use crate::{
    load,
    process::{self, Server},
    proxied, scene,
    transport::{median, micros},
};

const ROUNDS: usize = 7;
const CONNECTIONS: usize = 16;
const REQUESTS: usize = 2_000;
const WARM_UP: usize = 100;
/// Requests one after another, whose times are kept.
const TIMED: usize = 250;
/// Sessions for misses: asked about in turn, each long after the cache has forgotten it.
const SESSIONS: usize = 6_000;

const ENVOY: &str = include_str!("edges/envoy.yaml");
const NGINX: &str = include_str!("edges/nginx.conf");
const ENVOY_ASKS: &str = include_str!("edges/ext_authz.yaml");

type Requests = Rc<dyn Fn() -> Rc<[u8]>>;

/// One way of a request to the app, and what its rounds gave, in microseconds.
struct Way {
    name: &'static str,
    address: String,
    /// The processes whose CPU time counts.
    processes: Vec<u32>,
    /// The one of them that authorizes, or proxies itself.
    last: Vec<f64>,
    requests: Requests,
    /// How often it is asked in a round of CPU time.
    count: usize,
    cpu: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Way {
    fn new(name: &'static str, address: String, processes: &[u32], requests: &Requests) -> Self {
        Self {
            name,
            address,
            processes: processes.to_vec(),
            last: Vec::new(),
            requests: Rc::clone(requests),
            count: REQUESTS,
            cpu: Vec::new(),
            p50: Vec::new(),
            p99: Vec::new(),
        }
    }

    /// The same with sessions that are not in the cache, of which there are fewer.
    fn missing(self, requests: &Requests) -> Self {
        Self {
            requests: Rc::clone(requests),
            count: 500,
            ..self
        }
    }

    /// What each of its processes has spent.
    fn spent(&self) -> Vec<f64> {
        let each = self.processes.iter();
        each.map(|&pid| micros(process::cpu(pid))).collect()
    }

    async fn round(&mut self, warm: &Requests) {
        // Connections are made and used before anything is counted.
        let clients = proxied::connect(&self.address, CONNECTIONS).await;
        let clients = proxied::run(clients, WARM_UP, warm).await;
        let before = self.spent();
        let mut clients = proxied::run(clients, self.count, &self.requests).await;
        let spent = self.spent().into_iter().zip(before);
        let each: Vec<_> = spent
            .map(|(after, before)| (after - before) / self.count as f64)
            .collect();
        self.cpu.push(each.iter().sum());
        self.last.extend(each.last());
        let Some(mut client) = clients.pop() else {
            return;
        };
        let mut times = Vec::new();
        for _ in 0..TIMED {
            times.push(micros(client.ask(&(self.requests)()).await));
        }
        times.sort_by(f64::total_cmp);
        self.p50.push(times[TIMED / 2]);
        self.p99.push(times[TIMED * 99 / 100]);
    }
}

/// Measures and prints; whatever real server is missing fails it, by its name.
pub(crate) async fn run(sidegated: &Path) {
    load::local(measure(sidegated)).await;
}

/// The requests of these cookies, in turn and again from the first.
fn in_turn(cookies: &[String]) -> Requests {
    let each = cookies.iter().map(|cookie| proxied::request(cookie).into());
    let requests: Vec<Rc<[u8]>> = each.collect();
    let at = Cell::new(0);
    Rc::new(move || {
        at.set((at.get() + 1) % requests.len());
        Rc::clone(&requests[at.get()])
    })
}

async fn sign_in(address: &str) -> (Requests, Requests) {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let cookies = stream::iter(0..=SESSIONS)
        .map(|_| scene::sign_in(channel.clone(), "admin"))
        .buffer_unordered(64);
    let cookies: Vec<String> = cookies.collect().await;
    (in_turn(&cookies[..1]), in_turn(&cookies[1..]))
}

async fn start_envoy(app: &str, authorizer: Option<&str>) -> server::Server {
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let asks = authorizer.map_or("", |_| ENVOY_ASKS);
    let running = envoy::start("P-7 and P-8", |place| {
        ENVOY
            .replace("          ASKS\n", asks)
            .replace("OWN_PORT", &place.http().to_string())
            .replace("APP_PORT", &port(app))
            .replace("AUTHORIZER_PORT", &port(authorizer.unwrap_or(app)))
    });
    let running = running.await.expect("Envoy, which `tests/run` installs");
    process::pin(running.pid());
    running
}

async fn start_nginx(app: &str, authorizer: Option<&str>) -> server::Server {
    let asks = authorizer.map_or("", |_| "auth_request /.sidegate;");
    let running = nginx::start("P-8", |place| {
        NGINX
            .replace("ASKS", asks)
            .replace("OWN_PORT", &place.http().to_string())
            .replace("APP", app)
            .replace("AUTHORIZER", authorizer.unwrap_or(app))
    });
    let running = running.await.expect("nginx, which `tests/run` installs");
    process::pin(running.pid());
    running
}

async fn measure(sidegated: &Path) {
    let own = std::env::current_exe().unwrap();
    let upstream = Server::start(&own, &["upstream"]);
    let all = Server::start(&own, &["allow-all"]);
    let app = &upstream.address;
    let bare = Server::start(&own, &["bare-proxy", app]);
    let folder = tempfile::tempdir().unwrap();
    let policy = scene::write_edges(folder.path(), app);
    let names = ["grpc", "proxy", "envoy", "forward_auth"];
    let arguments = ["--config", policy.to_str().unwrap()];
    let ours = Server::start_with(sidegated, &arguments, &names);
    let (hit, miss) = sign_in(&ours.address).await;

    let envoys = [
        start_envoy(app, None).await,
        start_envoy(app, Some(&all.address)).await,
        start_envoy(app, Some(&ours.addresses["envoy"])).await,
    ];
    let nginxes = [
        start_nginx(app, None).await,
        start_nginx(app, Some(app)).await,
        start_nginx(app, Some(&ours.addresses["forward_auth"])).await,
    ];
    let way = |name, server: &server::Server, other: &[u32]| {
        let processes = [&[server.pid()], other].concat();
        Way::new(name, server.http().to_string(), &processes, &hit)
    };
    let (us, them) = (ours.pid(), all.pid());
    let proxy = ours.addresses["proxy"].clone();
    let mut ways = [
        way("Envoy", &envoys[0], &[]),
        way("Envoy, an authorizer that allows all", &envoys[1], &[them]),
        way("Envoy, sidegated, cached", &envoys[2], &[us]),
        way("Envoy, sidegated, not cached", &envoys[2], &[us]).missing(&miss),
        way("nginx", &nginxes[0], &[]),
        way("nginx, auth_request to a plain 200", &nginxes[1], &[]),
        way("nginx, sidegated, cached", &nginxes[2], &[us]),
        way("nginx, sidegated, not cached", &nginxes[2], &[us]).missing(&miss),
        Way::new(
            "hyper, no decision",
            bare.address.clone(),
            &[bare.pid()],
            &hit,
        ),
        Way::new("sidegated, cached", proxy.clone(), &[us], &hit),
        Way::new("sidegated, not cached", proxy, &[us], &hit).missing(&miss),
    ];
    for _ in 0..ROUNDS {
        for way in &mut ways {
            way.round(&hit).await;
        }
    }
    table(&ways);
    goals(&ways);
}

fn table(ways: &[Way]) {
    println!("\nP-7, P-8  a request through a proxy to an app that answers at once");
    println!(
        "     CPU of proxy and authorizer: {CONNECTIONS} connections; latency: one; median of {ROUNDS} rounds, \
         in turns"
    );
    println!("     the last one's: of an authorizer, or of a proxy that asks nobody else");
    println!("     added: to the same proxy with no authorizer; to Envoy for our own\n");
    let [a, b, o, c, d, e] = [
        "way",
        "CPU/request",
        "the last one's",
        "least to most",
        "p50 added",
        "p99 added",
    ];
    println!("     {a:<38} {b:>12} {o:>15} {c:>18} {d:>15} {e:>15}");
    for (at, way) in ways.iter().enumerate() {
        let plain = &ways[if (4..8).contains(&at) { 4 } else { 0 }];
        let added = |ours: &[f64], plain: &[f64]| {
            median(ours.iter().zip(plain).map(|(ours, plain)| ours - plain))
        };
        let least = way.cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let most = way.cpu.iter().copied().fold(0.0, f64::max);
        println!(
            "     {:<38} {:>9.1} us {:>12.1} us {:>9.1} to {:>5.1} {:>12.0} us {:>12.0} us",
            way.name,
            median(way.cpu.iter().copied()),
            median(way.last.iter().copied()),
            least,
            most,
            added(&way.p50, &plain.p50),
            added(&way.p99, &plain.p99),
        );
    }
}

fn goals(ways: &[Way]) {
    println!();
    for (goal, ours, floor, wanted) in [
        ("P-7  Envoy, sidegated / allows all", 2, 1, 1.05),
        ("P-8  sidegated / Envoy", 9, 0, 1.0),
        ("P-8  sidegated / Envoy, allows all", 9, 1, 0.4),
        ("P-8  sidegated / nginx", 9, 4, 1.5),
        ("     hyper, no decision / nginx", 8, 4, 1.5),
    ] {
        let pairs = ways[ours].cpu.iter().zip(&ways[floor].cpu);
        let ratio = median(pairs.map(|(ours, floor)| ours / floor));
        let verdict = if ratio <= wanted { "met" } else { "missed" };
        println!("     {goal:<38} {ratio:>9.2}, wanted <= {wanted:.2}: {verdict}");
    }
}

/// Asks a server that is started with `program` so many times, for whoever counts its instructions:
/// our own proxy, our authorizer behind Envoy, or one that allows all.
pub(crate) async fn drive(way: &str, count: usize, program: &[&str]) {
    load::local(async {
        let own = std::env::current_exe().unwrap();
        let upstream = Server::start(&own, &["upstream"]);
        let app = &upstream.address;
        let folder = tempfile::tempdir().unwrap();
        let (first, rest) = program.split_first().unwrap();
        let (server, cookie) = if way == "allow-all" || way == "bare-proxy" {
            let server = Server::start(Path::new(first), &[rest, &[way, app]].concat());
            (server, format!("__Host-session={}", "a".repeat(43)))
        } else {
            let policy = scene::write_edges(folder.path(), app);
            let arguments = [rest, &["--config", policy.to_str().unwrap()]].concat();
            let server =
                Server::start_with(Path::new(first), &arguments, &["grpc", "proxy", "envoy"]);
            let channel = Channel::from_shared(format!("http://{}", server.address)).unwrap();
            let channel = channel.connect().await.unwrap();
            (server, scene::sign_in(channel, "admin").await)
        };
        let behind = match way {
            "envoy" => Some(&server.addresses["envoy"]),
            "allow-all" => Some(&server.address),
            _ => None,
        };
        let envoy = match behind {
            Some(authorizer) => Some(start_envoy(app, Some(authorizer)).await),
            None => None,
        };
        let address = match (&envoy, way) {
            (Some(envoy), _) => envoy.http().to_string(),
            (None, "bare-proxy") => server.address.clone(),
            (None, _) => server.addresses["proxy"].clone(),
        };
        let clients = proxied::connect(&address, CONNECTIONS).await;
        proxied::run(clients, count, &in_turn(&[cookie])).await;
        server.end();
    })
    .await;
}
