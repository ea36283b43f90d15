// Measures tjDecompress2 of the system's libjpeg-turbo: what decoding a JPEG costs when nothing is done around it.
//
//   decode LIBRARY FILE COUNT
//
// decodes the file COUNT times into the same memory and prints the seconds of processor time that one takes. It leaves with
// status 3 when the library cannot be loaded. The few declarations stand here because the library's header seldom lies beside it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { RGB = 0 };

static double processor_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: decode LIBRARY FILE COUNT\n");
        return 2;
    }
    void *library = dlopen(argv[1], RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    void *(*init)(void) = (void *(*)(void))dlsym(library, "tjInitDecompress");
    int (*header)(void *, const unsigned char *, unsigned long, int *, int *, int *, int *) =
        (int (*)(void *, const unsigned char *, unsigned long, int *, int *, int *, int *))dlsym(library, "tjDecompressHeader3");
    int (*decompress)(void *, const unsigned char *, unsigned long, unsigned char *, int, int, int, int, int) =
        (int (*)(void *, const unsigned char *, unsigned long, unsigned char *, int, int, int, int, int))dlsym(library, "tjDecompress2");
    if (init == NULL || header == NULL || decompress == NULL) {
        fprintf(stderr, "%s lacks tjDecompress2\n", argv[1]);
        return 3;
    }
    FILE *file = fopen(argv[2], "rb");
    if (file == NULL) {
        perror(argv[2]);
        return 1;
    }
    static unsigned char jpeg[16 << 20];
    unsigned long size = fread(jpeg, 1, sizeof jpeg, file);
    fclose(file);
    void *handle = init();
    int width, height, sampling, colours;
    if (header(handle, jpeg, size, &width, &height, &sampling, &colours) != 0) {
        fprintf(stderr, "%s is no JPEG\n", argv[2]);
        return 1;
    }
    unsigned char *pixels = malloc((size_t)width * height * 3);
    int count = atoi(argv[3]);
    double began = 0;
    for (int i = -1; i < count; i++) { // the first one takes the memory, and is not measured
        if (i == 0)
            began = processor_seconds();
        if (pixels == NULL || decompress(handle, jpeg, size, pixels, width, width * 3, height, RGB, 0) != 0) {
            fprintf(stderr, "%s cannot be decoded\n", argv[2]);
            return 1;
        }
    }
    printf("%.9f\n", (processor_seconds() - began) / count);
    return 0;
}
