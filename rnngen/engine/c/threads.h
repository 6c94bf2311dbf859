#ifndef RNNGEN_THREADS_H
#define RNNGEN_THREADS_H

/* How many threads may work from now on, the calling one included; as many as there is memory for are started. */
void set_threads(long number);
long n_threads(void);

/* Call work(job, part) for every part in [0, parts), each once, and return when all are done. A thread mostly meets the
 * same parts again in the next job, from the first to the last or, `backwards`, from the last. */
void share(void (*work)(const void *job, long part), const void *job, long parts, int backwards);

#endif
