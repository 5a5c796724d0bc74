fn main(){ let a:Vec<String>=std::env::args().collect(); let g=std::fs::read(&a[1]).unwrap();
 let t=std::time::Instant::now();
 match kvfs_compose::Compose::new(&g).build(){Ok(c)=>{eprintln!("{:?}",t.elapsed()); print!("{}",c.report); std::fs::write(&a[2],c.bytes).unwrap();} Err(e)=>{eprintln!("kvfs: {e}");std::process::exit(1)}}}
