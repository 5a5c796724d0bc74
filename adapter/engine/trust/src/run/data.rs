//! Writes, reads and resizes files on both sides.

use super::answers::same;
use super::direct;
use super::runner::Runner;
use super::slots::{at_file, opened};
use crate::ops::pattern;
use kvfs::{At, Code, Kind};

impl Runner {
    pub(super) fn write(&mut self, slot: usize, at: At, length: usize, fill: u8) -> Result<bool, String> {
        let file = at_file!(self, slot);
        let start = match at {
            At::Offset(offset) => offset,
            At::End => self.model.object(file.id).size(),
        };
        let data = pattern(start, length, fill);
        let volume = opened(&mut self.volume);
        let engine = direct::write(volume, &file.descriptor, at, &data, fill);
        // Directories are never open for writing.
        let model = match file.access.write {
            false => Err(Code::BadDescriptor),
            true => self.model.write(file.id, at, &data),
        };
        let ok = same(&engine, &model.map(drop))?;
        if ok && engine.as_ref().ok() != model.as_ref().ok() {
            return Err(format!("wrote {engine:?} bytes, not {model:?}"));
        }
        let data = data[..engine.unwrap_or(0)].to_vec();
        if ok && !data.is_empty() {
            self.changed.insert(file.id, self.moment);
            self.wrote = Some((file.id, start, data));
            if file.access.sync {
                self.now_durable()?;
            }
        }
        Ok(ok)
    }

    pub(super) fn read(&mut self, slot: usize, offset: u64, length: usize) -> Result<bool, String> {
        let file = at_file!(self, slot);
        let volume = opened(&mut self.volume);
        let mut bytes = vec![1, 2, 3];
        let engine = direct::read(volume, &file.descriptor, offset, length, &mut bytes);
        let model = match self.model.object(file.id).kind() {
            Kind::Directory => Err(Code::IsDirectory),
            _ if !file.access.read && file.access.write => Err(Code::BadDescriptor),
            _ => Ok(()),
        };
        let ok = same(&engine, &model)?;
        if ok {
            let expected = self.model.read(file.id, offset, length as u64);
            if bytes.get(3..) != Some(&expected[..]) || engine != Ok(expected.len()) {
                let at = expected.iter().zip(&bytes[3..]).position(|(a, b)| a != b);
                return Err(format!("read {engine:?}, expected {}; differs at {at:?}", expected.len()));
            }
        }
        Ok(ok)
    }

    pub(super) fn set_size(&mut self, slot: usize, size: u64) -> Result<bool, String> {
        let file = at_file!(self, slot);
        let volume = opened(&mut self.volume);
        let engine = volume.set_size(&file.descriptor, size);
        let model = match self.model.object(file.id).kind() {
            Kind::Directory => Err(Code::BadDescriptor),
            _ if !file.access.write => Err(Code::Invalid),
            _ => self.model.set_size(file.id, size),
        };
        let ok = same(&engine, &model)?;
        if ok {
            self.changed.insert(file.id, self.moment);
            if file.access.sync {
                self.now_durable()?;
            }
        }
        Ok(ok)
    }
}
