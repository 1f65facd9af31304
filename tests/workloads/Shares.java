/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled code with known shares: of the time in turn(), a quarter is light()'s and three quarters
 * are heavy()'s. grind() is too big to be inlined twice into one caller unnoticed: run it with
 * -XX:CompileCommand=dontinline,Shares::*.
 */
public class Shares {
    static volatile long sink;

    static long grind(int n) {
        long x = n;

        for (int i = 0; i < 2000; i++)
            x = x * 6364136223846793005L + 1442695040888963407L;
        return x;
    }

    static void light(int n) {
        sink += grind(n);
    }

    static void heavy(int n) {
        for (int i = 0; i < 3; i++)
            sink += grind(n + i);
    }

    static void turn(int n) {
        light(n);
        heavy(n);
    }

    static void work() {
        for (int i = 0; i < 1000; i++)
            turn(i);
    }

    public static void main(String[] arguments) {
        System.out.println("ready");
        while (true)
            work();
    }
}
