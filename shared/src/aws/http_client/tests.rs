use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::error::SdkError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Serves one response after the other. Returns the number of the connection that each request came on.
async fn serve(listener: TcpListener, responses: &[&str]) -> Vec<usize> {
    let (mut connections, mut numbers) = (0, Vec::new());
    let mut connection: Option<TcpStream> = None;
    while numbers.len() < responses.len() {
        let mut stream = if let Some(stream) = connection.take() {
            stream
        } else {
            connections += 1;
            listener.accept().await.unwrap().0
        };
        if read_request(&mut stream).await.is_ok() {
            let head = format!("HTTP/1.1 {}\r\ncontent-length: 2\r\n\r\n{{}}", responses[numbers.len()]);
            stream.write_all(head.as_bytes()).await.unwrap();
            numbers.push(connections);
            connection = Some(stream);
        }
    }
    numbers
}

/// Reads a request whose body is `{}`.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n{}") {
        request.push(stream.read_u8().await?);
    }
    Ok(())
}

fn client(endpoint: &str, timeout: TimeoutConfig) -> DynamoDb {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeout)
        .http_client(http_client());
    DynamoDb::from_conf(config.build())
}

#[tokio::test]
async fn a_connection_is_used_again_until_a_transient_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()), TimeoutConfig::disabled());
    let responses = ["200 OK", "400 Bad Request", "500 Internal Server Error", "200 OK", "200 OK"];
    let calls = async {
        for response in responses {
            assert_eq!(client.list_tables().send().await.is_ok(), response == "200 OK");
        }
    };
    let (connections, ()) = tokio::join!(serve(listener, &responses), calls);
    assert_eq!(connections, [1, 1, 1, 2, 2]);
}

#[tokio::test]
async fn a_response_that_exceeds_the_read_timeout_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeout = TimeoutConfig::builder().read_timeout(Duration::from_millis(1)).build();
    // Connections wait in the listener's queue, and no response ever comes.
    let client = client(&format!("http://{}", listener.local_addr().unwrap()), timeout);
    let SdkError::DispatchFailure(failure) = client.list_tables().send().await.unwrap_err() else { panic!() };
    assert!(failure.is_timeout());
}

#[tokio::test]
async fn a_tls_handshake_that_exceeds_the_connect_timeout_is_a_failure_of_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeout = TimeoutConfig::builder().connect_timeout(Duration::from_millis(1)).build();
    // The system accepts the connection, and no server ever speaks.
    let client = client(&format!("https://{}", listener.local_addr().unwrap()), timeout);
    let SdkError::DispatchFailure(failure) = client.list_tables().send().await.unwrap_err() else { panic!() };
    assert!(failure.is_io());
}

#[tokio::test]
async fn a_refused_connection_is_a_failure_of_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&endpoint, TimeoutConfig::disabled()).list_tables().send().await.unwrap_err();
    let SdkError::DispatchFailure(failure) = error else { panic!("{error:?}") };
    assert!(failure.is_io());
}

#[test]
fn every_root_is_a_certificate() {
    assert_eq!(amazon_roots().len(), AMAZON_ROOTS.len());
}
