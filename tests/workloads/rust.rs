// SPDX-License-Identifier: Apache-2.0
// Rust's mangled names: a module, a trait's method for a type. Runs until it is killed.
mod counting {
    pub trait Tally {
        fn tally(&self) -> u64;
    }

    pub struct Drawer {
        pub coins: Vec<u64>,
    }

    impl Tally for Drawer {
        #[inline(never)]
        fn tally(&self) -> u64 {
            let mut sum: u64 = 0;
            for _ in 0..200 {
                for c in &self.coins {
                    sum = sum.wrapping_mul(5).wrapping_add(*c);
                }
            }
            sum
        }
    }

    #[inline(never)]
    pub fn count_all(d: &Drawer) -> u64 {
        d.tally().wrapping_add(1)
    }
}

fn main() {
    let drawer = counting::Drawer { coins: vec![3; 1000] };
    let mut sum: u64 = 0;
    while sum != 42 {
        // Not known to the compiler; black_box() came after Debian 12's rustc.
        let odd = unsafe { std::ptr::read_volatile(&(sum | 1)) };
        sum = odd.wrapping_add(counting::count_all(&drawer)) | 1;
    }
}
