//! Volumes on threads of their own.

use super::files;
use kvfs_files::{FilesError, SharedFiles};

#[tokio::test(flavor = "current_thread")]
async fn tasks_go_on_while_the_volume_works() {
    let shared = SharedFiles::open(|| Ok::<_, FilesError>(files())).await.unwrap();
    let (begin, began) = std::sync::mpsc::channel();
    let slow = shared.clone();
    let slow = tokio::spawn(async move {
        slow.run(move |files| {
            // Waits for the other task, which the executor must run meanwhile.
            began.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
            files.write("f", b"slow")
        })
        .await
    });
    tokio::task::yield_now().await;
    begin.send(()).unwrap();
    slow.await.unwrap().unwrap();
    assert_eq!(shared.run(|files| files.read("f", 10)).await.unwrap(), b"slow");
    let other = shared.clone();
    shared.close().await.unwrap();
    let ended = other.run(|files| files.read("f", 10)).await;
    assert!(matches!(ended, Err(FilesError::Ended)));
}

#[tokio::test(flavor = "current_thread")]
async fn a_panic_ends_the_thread_and_is_told() {
    let shared = SharedFiles::open(|| Ok::<_, FilesError>(files())).await.unwrap();
    let ended = shared.run(|_| -> Result<(), FilesError> { panic!("as the test wants") }).await;
    assert!(matches!(ended, Err(FilesError::Ended)));
    assert!(matches!(shared.run(|files| files.sync()).await, Err(FilesError::Ended)));
    let failed = SharedFiles::open(|| Err(FilesError::Stopped)).await;
    assert!(matches!(failed, Err(FilesError::Stopped)));
}
