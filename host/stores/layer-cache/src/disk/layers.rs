//! Which answers of which layers the files have, and those that wait to be written.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh64::xxh64;

use super::directory::{Directory, touch};
use super::file::{self, HEAD_BYTES};
use crate::answer::Answer;
use crate::name::{LAYER_BYTES, Layer};

/// Bytes that wait before they are written.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// Longest file that is read: what waits, and one answer more.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// Most answers whose places are known, and most files that are open, in one program.
const MAX_PLACES: usize = 1 << 19;
const MAX_FILES: usize = 256;

/// Most layers that are known at once.
const MAX_LAYERS: usize = 1 << 12;

/// Files of a layer beyond which they are made one.
const MAX_LAYER_FILES: usize = 8;

type LayerBytes = [u8; LAYER_BYTES];

/// The answers on disk.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: Directory,
    /// The layers whose files were looked at, with what is known of each.
    layers: HashMap<LayerBytes, OfLayer>,
    files: Vec<File>,
    places: usize,
    waiting_bytes: usize,
    /// What failed first. Nothing is written any more, and reading goes on.
    trouble: Option<String>,
    /// Files that were not as they were written.
    damaged: u64,
}

#[derive(Debug, Default)]
struct OfLayer {
    /// Where an answer is, by the hash of its question.
    places: HashMap<u64, Place>,
    /// Answers to be written.
    waiting: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    file: usize,
    at: u64,
    bytes: u32,
}

impl Disk {
    /// Opens a directory: see [`Directory::open`].
    pub(crate) fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        Ok(Self {
            directory: Directory::open(path, max_bytes)?,
            layers: HashMap::new(),
            files: Vec::new(),
            places: 0,
            waiting_bytes: 0,
            trouble: None,
            damaged: 0,
        })
    }

    /// What went wrong, in one line.
    pub(crate) fn trouble(&self) -> Option<String> {
        let path = self.directory.path().display();
        let damaged =
            (self.damaged > 0).then(|| format!("{path}: {} damaged files were dropped", self.damaged));
        let failed = self.trouble.as_ref().map(|what| format!("{path}: nothing is kept any more: {what}"));
        failed.or(damaged)
    }

    /// Looks for an answer.
    pub(crate) fn get(&mut self, layer: &Layer, question: &[u8]) -> Option<Answer> {
        let layer = layer.bytes();
        self.look_at(&layer);
        let place = self.layers.get(&layer)?.places.get(&hash(question)).copied()?;
        let file = self.files.get_mut(place.file)?;
        let mut bytes = vec![0; place.bytes as usize];
        let read = file.seek(SeekFrom::Start(place.at)).and_then(|_| file.read_exact(&mut bytes));
        let found = read.ok().and_then(|()| file::read(&layer, &bytes));
        let answer = found.filter(|found| found.question == question).and_then(|found| found.answer());
        if answer.is_none() {
            // It was sound before, or is that of another question with the same hash.
            self.layers.get_mut(&layer)?.places.remove(&hash(question));
        }
        answer
    }

    /// Keeps an answer. It is written with others, or at the next [`Disk::flush`].
    pub(crate) fn insert(&mut self, layer: &Layer, question: &[u8], answer: &Answer) {
        if self.trouble.is_some() {
            return;
        }
        let layer = layer.bytes();
        self.look_at(&layer);
        let Some(of_layer) = self.layers.get_mut(&layer) else { return };
        let before = of_layer.waiting.len();
        if of_layer.places.contains_key(&hash(question))
            || !file::append(&layer, question, answer, &mut of_layer.waiting)
        {
            return;
        }
        self.waiting_bytes += of_layer.waiting.len() - before;
        if self.waiting_bytes >= MAX_WAITING_BYTES {
            self.flush();
        }
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) {
        self.waiting_bytes = 0;
        let waiting: Vec<(LayerBytes, Vec<u8>)> = self
            .layers
            .iter_mut()
            .filter(|(_, of_layer)| !of_layer.waiting.is_empty())
            .map(|(layer, of_layer)| (*layer, std::mem::take(&mut of_layer.waiting)))
            .collect();
        for (layer, answers) in waiting {
            self.write(&layer, &answers);
        }
    }

    /// Writes a file, and takes note of what is in it.
    fn write(&mut self, layer: &LayerBytes, answers: &[u8]) {
        if self.trouble.is_some() {
            return;
        }
        let bytes = [&file::head(layer), answers].concat();
        // A file that alone is over the bound would go at once.
        if bytes.len() as u64 > self.directory.max_bytes() {
            return;
        }
        match self.directory.write(layer, &bytes) {
            Ok(path) => self.take_up(layer, &path),
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    /// Reads what the files of a layer have, once.
    fn look_at(&mut self, layer: &LayerBytes) {
        if self.layers.contains_key(layer) {
            return;
        }
        if self.layers.len() >= MAX_LAYERS || self.files.len() + MAX_LAYER_FILES > MAX_FILES {
            // Everything is found again in the directory.
            self.flush();
            self.layers.clear();
            self.files.clear();
            self.places = 0;
        }
        self.layers.insert(*layer, OfLayer::default());
        let files = match self.directory.files_of(layer) {
            Ok(files) => files,
            Err(error) => {
                self.trouble = Some(error.to_string());
                return;
            }
        };
        if files.len() > MAX_LAYER_FILES {
            self.make_one(layer, &files);
        } else {
            files.iter().for_each(|path| self.take_up(layer, path));
        }
    }

    /// Takes note of the answers in a file. One that is not as it was written goes.
    fn take_up(&mut self, layer: &LayerBytes, path: &Path) {
        // Others may remove it meanwhile.
        let Ok(mut opened) = File::open(path) else { return };
        let mut bytes = Vec::new();
        let read = (&mut opened).take(MAX_FILE_BYTES).read_to_end(&mut bytes);
        if read.is_err() || self.files.len() >= MAX_FILES {
            return;
        }
        let mut at = HEAD_BYTES;
        let mut places = Vec::new();
        let is_of_layer = file::is_of(layer, &bytes);
        while let Some(stored) =
            bytes.get(at..).filter(|_| is_of_layer).and_then(|rest| file::read(layer, rest))
        {
            let length = u32::try_from(stored.bytes).unwrap_or(u32::MAX);
            places.push((
                hash(stored.question),
                Place { file: self.files.len(), at: at as u64, bytes: length },
            ));
            at += stored.bytes;
        }
        if at != bytes.len() || !is_of_layer {
            // What cannot be read to its end is nobody's.
            self.damaged += 1;
            let _ = fs::remove_file(path);
        }
        if places.is_empty() || self.places + places.len() > MAX_PLACES {
            return;
        }
        touch(&opened);
        self.places += places.len();
        self.files.push(opened);
        self.layers.entry(*layer).or_default().places.extend(places);
    }

    /// Makes the small files of a layer one.
    fn make_one(&mut self, layer: &LayerBytes, files: &[PathBuf]) {
        let (mut answers, mut taken) = (Vec::new(), Vec::new());
        for path in files {
            let Ok(bytes) = fs::read(path) else { continue };
            let small = bytes.get(HEAD_BYTES..).filter(|_| file::is_of(layer, &bytes));
            match small.filter(|small| answers.len() + small.len() <= MAX_WAITING_BYTES) {
                Some(small) if is_whole(layer, small) => {
                    answers.extend_from_slice(small);
                    taken.push(path);
                }
                _ => self.take_up(layer, path),
            }
        }
        self.write(layer, &answers);
        if self.trouble.is_none() {
            taken.into_iter().for_each(|path| drop(fs::remove_file(path)));
        }
    }
}

/// Whether these are answers of the layer to the end.
fn is_whole(layer: &LayerBytes, mut answers: &[u8]) -> bool {
    while let Some(stored) = file::read(layer, answers) {
        answers = answers.get(stored.bytes..).unwrap_or_default();
    }
    answers.is_empty()
}

fn hash(question: &[u8]) -> u64 {
    xxh64(question, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::StoreId;

    #[test]
    fn an_answer_to_another_question_of_the_same_hash_is_not_given() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Disk::open(directory.path(), 1 << 20).unwrap();
        let layer = Layer { store: StoreId::of("a store"), stamp: [1; 16], on_disk: true };
        let answer = Answer::of(Some(b"its answer"));
        disk.insert(&layer, b"one", &answer);
        disk.flush();
        let places = &mut disk.layers.get_mut(&layer.bytes()).unwrap().places;
        let place = places[&hash(b"one")];
        places.insert(hash(b"other"), place);
        assert_eq!(disk.get(&layer, b"other"), None);
        assert_eq!(disk.get(&layer, b"one"), Some(answer));
    }
}
