#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use podwall_policy::object::ObjectName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::canary::Canary;
use super::*;
use crate::arrival::Mode;
use crate::world::Nodes;

/// Endpoints on a free port, with a world that knows nothing and a canary port that nobody redirects.
fn admin() -> (SocketAddr, Arc<Admin>) {
    let account = Account::new(io::sink(), Mode::Redirect).unwrap();
    let world = World::new(ObjectName::new("shop", "web"), Nodes::default());
    let admin = Admin::new(account, world, Proof::Canary(Canary::new(unused_port())));
    let listener = bind(0).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, Arc::clone(&admin)));
    (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), admin)
}

/// A loopback port on which nobody listens at this moment.
fn unused_port() -> u16 {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    taken.local_addr().unwrap().port()
}

/// Sends `request` and reads to the end of the connection.
async fn say(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may refuse before it has read all.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    // A reset after the answer is an end too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    say(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

#[tokio::test]
async fn livez_answers_as_long_as_the_process_does() {
    let (address, _admin) = admin();
    let answer = get(address, "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nalive\n"), "{answer}");
}

#[tokio::test]
async fn both_families_are_served_by_one_listener() {
    let (address, _admin) = admin();
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
    if TcpStream::connect(v6).await.is_ok() {
        assert!(get(v6, "/livez").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn not_ready_before_the_source_is_synced() {
    let (address, admin) = admin();
    let answer = get(address, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\n- not_synced: "), "{answer}");
    assert!(answer.contains("\n- canary "), "{answer}");
    admin.drain();
    let answer = get(address, "/readyz").await;
    assert!(answer.contains("\n- stopping: "), "{answer}");
    assert!(!answer.contains("\n- canary "), "{answer}");
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let (address, _admin) = admin();
    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("application/openmetrics-text; version=1.0.0"),
        "{answer}"
    );
    assert!(answer.contains("\npodwall_synced 0\n"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn only_get_and_head_and_only_these_paths() {
    let (address, _admin) = admin();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let request = format!("{method} /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = say(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
        assert!(
            answer.to_lowercase().contains("allow: get, head"),
            "{answer}"
        );
    }
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
    assert!(get(address, "/livez/x").await.starts_with("HTTP/1.1 404"));
    assert!(
        get(address, "/livez?verbose")
            .await
            .starts_with("HTTP/1.1 200")
    );
    let head = say(address, "HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn one_request_per_connection() {
    let (address, _admin) = admin();
    let twice = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    let answer = say(address, &twice).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_head_has_a_bound() {
    let (address, _admin) = admin();
    let long = format!(
        "GET /livez HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(4 * MAX_HEAD)
    );
    assert!(!say(address, &long).await.starts_with("HTTP/1.1 200"));
    let many = "X: y\r\n".repeat(MAX_HEADERS + 1);
    let many = format!("GET /livez HTTP/1.1\r\n{many}\r\n");
    assert!(!say(address, &many).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let (address, _admin) = admin();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut heard = Vec::new();
    // Ends only because the server's patience does.
    let end = tokio::time::timeout(CONNECTION_TIMEOUT * 3, stream.read_to_end(&mut heard)).await;
    assert!(end.is_ok(), "still connected");
    assert!(!heard.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_flag() {
    let first = bind(0).unwrap();
    let port = first.local_addr().unwrap().port();
    let said = bind(port).unwrap_err().to_string();
    assert!(
        said.contains(&port.to_string()) && said.contains("--admin-port"),
        "{said}"
    );
}
