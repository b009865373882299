//! Calls without a fault: the proxy is invisible.

use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::{FaultProxy, Operation};
use super::{Bench, Outcome, TABLE, item, keys, outcome, sdk_client};

/// A call of `operation` as HTTP/1.1 text.
pub(super) fn raw_request(operation: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: test\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n\
         content-type: application/x-amz-json-1.0\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=0\r\nx-amz-date: 20260101T000000Z\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request on an open connection and returns the header lines and the body of the response, without the headers
/// that differ from call to call.
async fn exchange(socket: &mut TcpStream, request: &str) -> (Vec<String>, Vec<u8>) {
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    let varies = |line: &str| line.starts_with("date: ") || line.starts_with("x-amzn-requestid: ");
    let mut lines: Vec<String> = head.lines().filter(|line| !varies(line)).map(str::to_owned).collect();
    lines.sort();
    (lines, body)
}

#[tokio::test]
async fn a_proxy_without_faults_is_indistinguishable_from_the_engine() {
    let bench = Bench::new().await;
    let mut proxied = TcpStream::connect(bench.proxy.address).await.unwrap();
    let mut direct = TcpStream::connect(bench.engine.strip_prefix("http://").unwrap()).await.unwrap();
    for (operation, body) in [
        ("PutItem", r#"{"TableName":"contacts","Item":{"id":{"S":"é"}}}"#),
        ("GetItem", r#"{"TableName":"contacts","Key":{"id":{"S":"é"}}}"#),
        ("GetItem", r#"{"TableName":"missing","Key":{"id":{"S":"a"}}}"#),
        ("DescribeTable", r#"{"TableName":"contacts"}"#),
        ("NoSuchOperation", "{}"),
        ("GetItem", "not json"),
    ] {
        let request = raw_request(operation, body);
        assert_eq!(exchange(&mut proxied, &request).await, exchange(&mut direct, &request).await, "{operation} {body}");
    }
    let recorded: Vec<Operation> = bench.proxy.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(
        recorded,
        [Operation::PutItem, Operation::GetItem, Operation::GetItem, Operation::GetItem],
        "other operations are not recorded"
    );
}

#[tokio::test]
async fn a_chunked_response_is_forwarded() {
    let engine = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = FaultProxy::start(&format!("http://{}", engine.local_addr().unwrap())).await.unwrap();
    let respond = async {
        let (mut socket, _) = engine.accept().await.unwrap();
        while socket.read_u8().await.unwrap() != b'}' {}
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"Co\r\nA\r\nunt\":   7}\r\n0\r\n\r\n";
        socket.write_all(chunked).await.unwrap();
        socket
    };
    let client = sdk_client(&proxy.endpoint());
    let (output, _socket) = tokio::join!(client.scan().table_name(TABLE).send(), respond);
    assert_eq!(output.unwrap().count, 7);
}

#[tokio::test]
async fn large_bodies_are_forwarded_in_both_directions() {
    let bench = Bench::new().await;
    let ids: Vec<String> = (0..15).map(|n| n.to_string()).collect();
    let blob = AttributeValue::B(Blob::new(vec![7; 300_000]));
    let mut writes = Vec::new();
    for id in &ids {
        let put = PutRequest::builder().set_item(Some(item(id))).item("blob", blob.clone()).build().unwrap();
        writes.push(WriteRequest::builder().put_request(put).build());
    }
    bench.client.batch_write_item().request_items(TABLE, writes).send().await.unwrap();
    assert!(bench.proxy.take_calls()[0].request.len() > 4 * 1024 * 1024);

    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let output = bench.client.batch_get_item().request_items(TABLE, keys(&ids)).send().await.unwrap();
    let items = &output.responses.unwrap()[TABLE];
    assert_eq!(items.len(), ids.len());
    assert!(items.iter().all(|item| item["blob"] == blob));
}

#[tokio::test]
async fn a_hundred_concurrent_calls_all_get_a_response() {
    let bench = Bench::new().await;
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let puts = ids.iter().map(|id| bench.client.put_item().table_name(TABLE).set_item(Some(item(id))).send());
    assert!(join_all(puts).await.iter().all(Result::is_ok));
    assert_eq!(bench.direct_client.scan().table_name(TABLE).send().await.unwrap().count, 100);
    assert_eq!(bench.proxy.take_calls().len(), 100);
}

#[tokio::test]
async fn an_unreachable_engine_is_a_failed_connection() {
    let unused = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(&format!("http://{unused}")).await.unwrap();
    let result = sdk_client(&proxy.endpoint()).scan().table_name(TABLE).send().await;
    assert_eq!(outcome(result), Outcome::ConnectionFailed);
}

#[tokio::test]
async fn an_upstream_that_is_not_plain_http_is_rejected() {
    for upstream in ["", "127.0.0.1:8000", "https://dynamodb.us-east-1.amazonaws.com", "http://"] {
        let error = FaultProxy::start(upstream).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{upstream}");
    }
}
