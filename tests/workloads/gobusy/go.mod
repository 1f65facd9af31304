module porthole.test/deep/gobusy

go 1.19
