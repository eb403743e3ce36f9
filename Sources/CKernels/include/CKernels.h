int lz_placeholder(void);
