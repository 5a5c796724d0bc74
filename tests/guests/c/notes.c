/* A reactor for preview1: a core module that is called again and again and keeps notes in a file.
 * `notes.wit` is its component type. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((export_name("note"))) int64_t note(int32_t byte) {
    FILE *file = fopen("/notes", "a");
    if (!file) return -1;
    fputc(byte, file);
    fclose(file);
    struct stat about;
    return stat("/notes", &about) ? -2 : about.st_size;
}

/* Leaves the file open, with bytes that are written and not synced. */
__attribute__((export_name("keep"))) int32_t keep(int32_t count) {
    static int file = -1;
    if (file < 0) file = open("/kept", O_CREAT | O_RDWR, 0666);
    if (file < 0) return -1;
    char bytes[256];
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    for (int i = 0; i < count; i++) {
        if (write(file, bytes, sizeof bytes) != sizeof bytes) return -2;
    }
    return (int32_t)lseek(file, 0, SEEK_CUR);
}
