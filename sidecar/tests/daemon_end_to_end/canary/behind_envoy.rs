//! As Envoy asks: by `ext_authz` what clients present, and by `ext_proc` what the app writes.

use proto::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::{
        auth::v3::{
            AttributeContext, CheckRequest, CheckResponse, HttpRequest, Request as Described,
            authorization_client::AuthorizationClient, check_response::HttpResponse,
        },
        ext_proc::v3::{
            HttpHeaders, HttpTrailers, Metadata, ProcessingRequest, ProcessingResponse,
            external_processor_client::ExternalProcessorClient,
            processing_request::Request as Part, processing_response::Response as Reply,
        },
    },
};
use serde_json::json;
use tonic::transport::Channel;

use super::traffic::{DATA, ECHOES, FORGED, HEADER, Presented, QUERY, REFUSED, SUBJECT, Traffic};
use crate::harness::tcp_channel;

const FILTER: &str = "envoy.filters.http.ext_authz";

/// Header fields as Envoy sends them where it sends them one by one.
fn fields(fields: &[(&str, &str)]) -> Option<HeaderMap> {
    let headers = fields.iter().map(|(key, value)| HeaderValue {
        key: (*key).to_owned(),
        raw_value: (*value).to_owned().into(),
        ..HeaderValue::default()
    });
    Some(HeaderMap {
        headers: headers.collect(),
    })
}

/// A request as Envoy describes it.
fn described(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> CheckRequest {
    let length = body.len().to_string();
    let mut all = vec![
        ("sec-fetch-site", "same-origin"),
        ("content-length", &length),
    ];
    all.extend_from_slice(headers);
    let http = HttpRequest {
        method: method.to_owned().into(),
        path: path.to_owned().into(),
        host: "localhost".into(),
        raw_body: body.to_owned().into(),
        header_map: fields(&all),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext {
        request: Some(Described { http: Some(http) }),
        ..AttributeContext::default()
    };
    CheckRequest {
        attributes: Some(attributes),
    }
}

/// What Envoy keeps of an answer to a check.
fn kept(answer: &CheckResponse) -> Option<Metadata> {
    let facts = answer.dynamic_metadata.clone()?;
    Some(Metadata {
        filter_metadata: [(FILTER.to_owned(), facts)].into(),
    })
}

/// The handle that goes to the app with an allow.
fn handle(answer: &CheckResponse) -> String {
    let Some(HttpResponse::OkResponse(allow)) = &answer.http_response else {
        return String::new();
    };
    let headers = allow.headers.iter().filter_map(|it| it.header.as_ref());
    let mut calls = headers.filter(|header| header.key == "sidegate-call");
    let call = calls.next().map(|header| header.value.to_vec());
    String::from_utf8(call.unwrap_or_default()).unwrap()
}

impl Traffic<'_> {
    /// All of it.
    pub(super) async fn through_envoy(&mut self, presented: &Presented<'_>) {
        let channel = tcp_channel(&self.daemon.tcp("envoy")).await;
        self.checked(&channel, presented).await;
        self.processed(&channel, presented).await;
        self.secrets
            .add("a copy of a header of ours", "SECRETspoofed");
    }

    /// Asks for a verdict. What of it is secret is kept.
    async fn check(&mut self, channel: &Channel, request: CheckRequest) -> CheckResponse {
        self.seen.debug += &format!("{request:?}\n");
        let mut client = AuthorizationClient::new(channel.clone());
        let answer = client.check(request).await.unwrap().into_inner();
        self.seen.debug += &format!("{answer:?}\n");
        if let Some(HttpResponse::DeniedResponse(denied)) = &answer.http_response {
            self.seen.errors.extend(denied.body.as_bytes());
        }
        let call = handle(&answer);
        if !call.is_empty() {
            self.secrets.add("a handle that Envoy was told", &call);
        }
        answer
    }

    /// Every credential where it can stand, with secrets in all the rest.
    async fn checked(&mut self, channel: &Channel, presented: &Presented<'_>) {
        let Presented {
            bearer,
            cookie,
            key,
        } = presented;
        let bearer = format!("Bearer {bearer}");
        let pair = format!("__Host-session={cookie}");
        let beside = format!("theirs=SECRETforeigncookie; {pair}");
        let mut credentials = vec![
            vec![("authorization", &*bearer)],
            vec![("cookie", &*beside)],
            vec![("x-api-key", *key)],
            vec![("authorization", &*bearer), ("x-api-key", *key)],
            vec![("cookie", &*pair), ("cookie", &*pair)],
            vec![("x-other", HEADER), ("sidegate-call", "SECRETspoofed")],
            vec![("sidegate_session_set", "SECRETspoofed")],
        ];
        let forged = FORGED.map(|token| format!("Bearer {token}"));
        let cookies = FORGED.map(|token| format!("__Host-session={token}"));
        credentials.extend(forged.iter().map(|it| vec![("authorization", it.as_str())]));
        credentials.extend(cookies.iter().map(|it| vec![("cookie", it.as_str())]));
        credentials.extend(FORGED.iter().map(|it| vec![("x-api-key", *it)]));
        let targets = ["/books", "/admin/reindex", "/nowhere", "//%2e/\r\n"];
        for headers in &credentials {
            for target in targets {
                let target = format!("{target}?word={QUERY}#{QUERY}");
                self.check(channel, described("GET", &target, headers, ""))
                    .await;
            }
        }
        for key in [key, "sgk_SECRETinquery", "SECRETinquery%00"] {
            for path in ["/books", "/nowhere"] {
                let target = format!("{path}?api_key={key}&word={QUERY}");
                self.check(channel, described("GET", &target, &[], ""))
                    .await;
            }
        }
        let kind = [("content-type", "application/json")];
        for body in [
            json!({ "wanted": DATA }).to_string(),
            json!({ "wanted": [DATA] }).to_string(),
            format!("{{\"wanted\": {DATA}"),
            format!("{{\"wanted\": \"{}\"}}", DATA.repeat(5_000)),
        ] {
            self.check(channel, described("POST", "/search", &kind, &body))
                .await;
        }
        // A bare connection, no host, and what is no text.
        self.check(channel, CheckRequest::default()).await;
        for (method, host) in [("GET", "SECRETspoofed\u{1b}[31m"), ("BREW", "")] {
            let mut request = described(method, "/books", &[("cookie", &*pair)], "");
            let http = request
                .attributes
                .as_mut()
                .unwrap()
                .request
                .as_mut()
                .unwrap();
            http.http.as_mut().unwrap().host = host.to_owned().into();
            self.check(channel, request).await;
        }
    }

    /// Says these parts of one request and of its answer. What comes back is an error where it is in
    /// place of the app's answer.
    async fn process(
        &mut self,
        channel: &Channel,
        parts: Vec<ProcessingRequest>,
    ) -> Vec<ProcessingResponse> {
        self.seen.debug += &format!("{parts:?}\n");
        let mut client = ExternalProcessorClient::new(channel.clone());
        let parts = tokio_stream::iter(parts);
        let mut replies = client.process(parts).await.unwrap().into_inner();
        let mut all = Vec::new();
        loop {
            match replies.message().await {
                Ok(Some(reply)) => {
                    self.seen.debug += &format!("{reply:?}\n");
                    if let Some(Reply::ImmediateResponse(own)) = &reply.response {
                        self.seen.errors.extend(own.body.as_bytes());
                    }
                    all.push(reply);
                }
                Ok(None) => return all,
                Err(status) => {
                    self.seen.error(&status);
                    return all;
                }
            }
        }
    }

    /// The app's answer to a request that was let pass; whether it reaches the client.
    async fn answered(
        &mut self,
        channel: &Channel,
        passed: &CheckResponse,
        headers: &[(&str, &str)],
        trailers: &[(&str, &str)],
    ) -> bool {
        let said = |part| ProcessingRequest {
            metadata_context: kept(passed),
            request: Some(part),
        };
        let header = HttpHeaders {
            headers: fields(headers),
            end_of_stream: trailers.is_empty(),
        };
        let mut parts = vec![said(Part::ResponseHeaders(header))];
        if !trailers.is_empty() {
            let trailers = fields(trailers);
            parts.push(said(Part::ResponseTrailers(HttpTrailers { trailers })));
        }
        let replies = self.process(channel, parts).await;
        for token in replies.iter().flat_map(tokens) {
            self.secrets.add("a token that an app had made", &token);
        }
        let is_withheld = |reply: &ProcessingResponse| {
            matches!(reply.response, Some(Reply::ImmediateResponse(_)))
        };
        !replies.iter().any(is_withheld)
    }

    /// Changes that are made, and changes that are not.
    async fn processed(&mut self, channel: &Channel, presented: &Presented<'_>) {
        let pair = format!("__Host-session={}", presented.cookie);
        let login = described("POST", "/login", &[("cookie", &*pair)], "");
        let anonymous = described("POST", "/login", &[], "");
        let (ok, own) = ((":status", "200"), ("set-cookie", "theirs=SECRETofapp"));
        let set = json!({ "subject": SUBJECT, "claims": { "role": "reader" } }).to_string();
        let (kind, done) = (("content-type", "application/grpc"), ("grpc-status", "0"));

        let passed = self.check(channel, anonymous).await;
        let call = handle(&passed);
        let change = [("sidegate-call", &*call), ("sidegate-session-set", &*set)];
        let whole = [&[ok, own][..], &change].concat();
        assert!(self.answered(channel, &passed, &whole, &[]).await);

        let passed = self.check(channel, login.clone()).await;
        let call = handle(&passed);
        assert!(!call.is_empty());
        let echoed = ("sidegate-call", &*call);
        for change in REFUSED {
            let headers = [ok, own, echoed, change];
            let withheld = !self.answered(channel, &passed, &headers, &[]).await;
            assert!(withheld, "{change:?}");
            let trailers = [done, echoed, change];
            let withheld = !self
                .answered(channel, &passed, &[ok, kind], &trailers)
                .await;
            assert!(withheld, "{change:?} in trailers");
        }
        let content = r#"{"subject":"u1","attributes":{"theme":"SECRETcontent"}}"#;
        let set = ("sidegate-session-set", content);
        for echo in ECHOES {
            let headers = [ok, own, ("sidegate-call", echo), set];
            assert!(
                !self.answered(channel, &passed, &headers, &[]).await,
                "{echo}"
            );
        }
        let twice = [ok, echoed, set, set];
        assert!(!self.answered(channel, &passed, &twice, &[]).await);
        let failed = [(":status", "500"), echoed, set];
        assert!(self.answered(channel, &passed, &failed, &[]).await);
        // Nothing was issued, and nobody was asked.
        let denied = self
            .check(channel, described("GET", "/books", &[], ""))
            .await;
        for passed in [denied, CheckResponse::default()] {
            let headers = [ok, echoed, set];
            assert!(!self.answered(channel, &passed, &headers, &[]).await);
        }
        // No part at all.
        let nothing = vec![ProcessingRequest::default()];
        assert!(self.process(channel, nothing).await.is_empty());
        self.secrets.add("a cookie of the app's", "SECRETofapp");
    }
}

/// The tokens that a reply hands to the client.
fn tokens(reply: &ProcessingResponse) -> Vec<String> {
    let changes = match &reply.response {
        Some(Reply::ResponseHeaders(reply)) => reply.response.as_ref(),
        _ => None,
    };
    let changes = changes.and_then(|changes| changes.header_mutation.as_ref());
    let fields = changes.into_iter().flat_map(|changes| &changes.set_headers);
    let headers = fields.filter_map(|field| field.header.as_ref());
    let cookies = headers.filter(|header| header.key == "set-cookie");
    let values = cookies.map(|header| String::from_utf8(header.raw_value.to_vec()).unwrap());
    let tokens = values.filter_map(|value| {
        let token = value.split(';').next()?.split_once('=')?.1.to_owned();
        (!token.is_empty()).then_some(token)
    });
    tokens.collect()
}
